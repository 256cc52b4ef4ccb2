"""Values as self-describing bytes: what is stored comes back equal and of the same type, and cannot run code.

>>> from perfcore.cache import codec
>>> codec.decode(codec.encode((1, {"a", "b"}, 2**100))) == (1, {"a", "b"}, 2**100)
True
>>> codec.encode([object()])
Traceback (most recent call last):
    ...
TypeError: cannot store a value of type builtins.object
"""

from perfcore.cache.codec.coder import Codec, decode, encode
from perfcore.cache.codec.objects import allow
from perfcore.cache.codec.values import MAX_DEPTH

__all__ = ["MAX_DEPTH", "Codec", "allow", "decode", "encode"]
