from collections.abc import Hashable
from typing import Any, final

__all__ = ["KEYWORDS", "hashes_agree", "key_of"]

@final
class _Keywords:
    """The type of KEYWORDS, which is its only instance."""

KEYWORDS: _Keywords
"""Stands in a key between positional arguments and keywords; a singleton, also when pickled or copied."""

# The key under which a Memo without `key=` stores the result of a call, and whose hash and equality its
# native path reproduces without building it: the argument itself for one exact str or int; else the tuple
# of the positional arguments; with keywords (*args, KEYWORDS, name, value, ...) in the order of the call.
# With `typed`, always a tuple, followed by the types of all arguments. `skip` leading positional
# arguments are no part of it.
def key_of(
    args: tuple[Any, ...], kwargs: dict[str, Any] | None = None, typed: bool = False, skip: int = 0, /
) -> Hashable: ...
def hashes_agree() -> bool: ...
