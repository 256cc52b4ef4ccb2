"""What was learnt, as a file: safe to load whoever wrote it, and set aside when it is not what it should be.

    magic, version | length of the rest | xxh3-64 of the rest | msgpack: numbers of the judge, keys, visits

Keys are those of the tiers (str, bytes, int, None, tuples of them) in their canonical bytes; others are left
out. Nothing in it is code, no number in it is believed before it was held against the others, and what was
learnt is checked by the predictor itself. The visits are replayed, so that no table is ever read.
"""

from __future__ import annotations

import os
import struct
import tempfile
from pathlib import Path
from typing import Any, Final

import msgspec
from xxhash import xxh3_64_intdigest

from perfcore._log import logger
from perfcore._native.predict import Predictor
from perfcore.cache.keys import decode_key, encode_key
from perfcore.errors import CodecError

__all__ = ["load", "save"]

_MAGIC: Final = b"pcpredict"
_VERSION: Final = 1
_HEADER: Final = struct.Struct("<9sBQQ")
_VISITS: Final = 65_536
_LARGEST: Final = 64 << 20
_KEY_BYTES: Final = 1024


class _Saved(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    judge: bytes
    keys: list[bytes]
    visits: list[int]


def save(predictor: Predictor, path: str | os.PathLike[str]) -> int:
    """Write what a predictor has learnt, all or nothing; returns how many visits are in the file."""
    numbers: dict[bytes, int] = {}
    visits = [numbers.setdefault(name, len(numbers)) for name in _names(predictor)]
    body = msgspec.msgpack.encode(_Saved(predictor.learnt(), list(numbers), visits))
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, made = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_HEADER.pack(_MAGIC, _VERSION, len(body), xxh3_64_intdigest(body)))
            file.write(body)
        Path(made).replace(target)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise
    return len(visits)


def _names(predictor: Predictor) -> list[bytes]:
    names = []
    for key in predictor.recent(_VISITS):
        try:
            name = encode_key(key)
        except (TypeError, ValueError, RecursionError):
            continue
        if len(name) <= _KEY_BYTES:
            names.append(name)
    return names


def load(predictor: Predictor, path: str | os.PathLike[str]) -> list[Any]:
    """Take over what a file holds and return its keys, those asked for most first.

    A missing file is an empty one. One that cannot be used gets ``.refused`` at the end of its name, is
    logged, and nothing of it is taken over.
    """
    try:
        data = _read(Path(path))
        saved, keys = _parse(data) if data else (None, [])
        if saved is None:
            return []
        predictor.relearn(saved.judge)
    except FileNotFoundError:
        return []
    except (ValueError, OSError) as error:
        _set_aside(Path(path), error)
        return []
    return _replay(predictor, saved.visits, keys)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise CodecError(f"larger than {_LARGEST} bytes")
    return data


def _parse(data: bytes) -> tuple[_Saved, list[Any]]:
    if len(data) < _HEADER.size:
        raise CodecError("no header")
    magic, version, length, digest = _HEADER.unpack_from(data)
    body = data[_HEADER.size :]
    if magic != _MAGIC or version != _VERSION:
        raise CodecError("not a file of this version")
    if length != len(body) or digest != xxh3_64_intdigest(body):
        raise CodecError("damaged")
    saved = msgspec.msgpack.decode(body, type=_Saved)
    if len(saved.visits) > _VISITS or len(saved.keys) > len(saved.visits):
        raise CodecError("more keys or visits than are ever written")
    if saved.visits and not 0 <= min(saved.visits) <= max(saved.visits) < len(saved.keys):
        raise CodecError("a visit of no key")
    return saved, [decode_key(name) for name in saved.keys]


def _replay(predictor: Predictor, visits: list[int], keys: list[Any]) -> list[Any]:
    counts = [0] * len(keys)
    for visit in visits:
        predictor.record(keys[visit], None, False)
        counts[visit] += 1
    return [keys[number] for number in sorted(range(len(keys)), key=lambda number: -counts[number])]


def _set_aside(path: Path, error: Exception) -> None:
    logger("cache").warning(
        "the prediction model %s is refused: %s: %s", path.name, type(error).__name__, error
    )
    try:
        path.replace(path.with_name(path.name + ".refused"))
    except OSError:
        logger("cache").warning("the refused prediction model cannot be set aside")
