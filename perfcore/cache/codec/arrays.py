"""numpy arrays and scalars of every plain dtype; numpy is imported where one of them shows up."""

from __future__ import annotations

import math
import re
from typing import Any

from msgspec import msgpack

from perfcore.errors import CodecError

__all__ = ["pack_array", "pack_scalar", "unpack_array", "unpack_scalar"]

_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder().decode

#: What ``dtype.str`` is for the kinds without objects; nothing else from stored bytes reaches numpy's dtype
#: parser. ``l`` and ``q`` are two types of one size, and ``str`` names only one of them.
_PLAIN = re.compile(
    r"[<>|=](?:[biufcSUV]\d{1,9}|[lLqQ]|[mM]8(?:\[\d{0,9}(?:[YMWDhms]|ms|us|ns|ps|fs|as)\])?)"
)

#: The data begins on a cache line, so that an array that borrows the decoded bytes is aligned for vector
#: loads.
_ALIGNMENT = 64


def pack_array(array: Any) -> bytes:
    """Return dtype, shape and data; raises :exc:`TypeError` for arrays of objects and for subclasses."""
    import numpy as np

    if type(array) is not np.ndarray:
        raise TypeError(f"cannot store a value of type {type(array).__module__}.{type(array).__qualname__}")
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    head = _encode((_describe(array.dtype), array.shape, fortran, array.flags.writeable))
    padding = bytes(-(len(head) + 4) % _ALIGNMENT)
    data = array.tobytes("F" if fortran else "C")
    return b"".join((len(head).to_bytes(4, "little"), head, padding, data))


def unpack_array(data: bytes | memoryview) -> Any:
    """Return the array; one that was read-only borrows ``data``, a writable one is copied once."""
    import numpy as np

    start = 4 + int.from_bytes(data[:4], "little")
    description, shape, fortran, writeable = _decode(data[4:start])
    start += -start % _ALIGNMENT
    dtype = _dtype(description)
    count = math.prod(shape)
    if count * dtype.itemsize != len(data) - start or min(shape, default=0) < 0:
        raise CodecError("a stored array does not have the size it declares")
    if not count or not dtype.itemsize:
        return np.zeros(shape, dtype)
    flat = np.frombuffer(data, dtype, count, start)
    array = flat.reshape(shape, order="F" if fortran else "C")
    if writeable or not array.flags.aligned:
        array = array.copy("K")
    array.flags.writeable = writeable
    return array


def pack_scalar(scalar: Any) -> bytes:
    """Return dtype and data of a numpy scalar."""
    import numpy as np

    if type(scalar) is np.str_:  # as an array element it would lose NULs at its end
        return _encode(("str", scalar.encode("utf-8", "surrogatepass")))
    if type(scalar) is np.bytes_:
        return _encode(("bytes", bytes(scalar)))
    return _encode((_describe(scalar.dtype), scalar.tobytes()))


def unpack_scalar(data: memoryview) -> Any:
    """Return the scalar that :func:`pack_scalar` packed."""
    import numpy as np

    description, raw = _decode(data)
    if description == "str":
        return np.str_(raw.decode("utf-8", "surrogatepass"))
    if description == "bytes":
        return np.bytes_(raw)
    dtype = _dtype(description)
    return np.frombuffer(raw, dtype, 1).copy()[0] if dtype.itemsize else np.zeros(1, dtype)[0]


def _describe(dtype: Any) -> Any:
    """``dtype`` as text, or nested lists where it has fields."""
    import numpy as np

    if dtype.hasobject:
        raise TypeError("cannot store a numpy array of objects")
    description: Any
    if dtype.names is not None:
        fields = [dtype.fields[name] for name in dtype.names]
        formats, offsets = [_describe(field[0]) for field in fields], [field[1] for field in fields]
        titles = [(*field, None)[2] for field in fields]
        description = ["fields", dtype.names, formats, offsets, titles, dtype.itemsize, dtype.isalignedstruct]
    elif dtype.subdtype is not None:
        description = ["array", _describe(dtype.base), dtype.shape]
    else:
        description = dtype.str
        if _PLAIN.fullmatch(description) and np.dtype(description).char != dtype.char:
            description = dtype.str[0] + dtype.char
    plain = not isinstance(description, str) or _PLAIN.fullmatch(description)
    if plain and _dtype(_decode(_encode(description))) == dtype:
        return description
    raise TypeError(f"cannot store a numpy array of dtype {dtype!r}")


def _dtype(description: Any) -> Any:
    import numpy as np

    if isinstance(description, str):
        if not _PLAIN.fullmatch(description):
            raise CodecError("a stored array is of no plain dtype")
        return np.dtype(description)
    kind, *rest = description
    if kind == "array":
        base, shape = rest
        return np.dtype((_dtype(base), tuple(shape)))
    names, formats, offsets, titles, itemsize, aligned = rest
    layout: Any = {"names": names, "formats": [_dtype(form) for form in formats], "offsets": offsets}
    if any(title is not None for title in titles):
        layout["titles"] = titles
    return np.dtype(layout | {"itemsize": itemsize}, align=bool(aligned))
