"""The standard library's scalar types as bytes: each has a code, a way out and a way back.

The codes are part of the stored format (``docs/format.md``) and are never given a second meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from struct import Struct
from typing import Any, NamedTuple
from uuid import UUID

from perfcore.errors import CodecError, UnreadableError

__all__ = ["LEAVES", "Leaf"]

_COMPLEX = Struct("<dd")
_DATE = Struct("<HBB")
_TIME = Struct("<BBBIB")
_DATETIME = Struct("<HBBBBBIB")
_TIMEDELTA = Struct("<iii")
_LENGTH = Struct("<I")
_PATHS = (PurePosixPath, PosixPath, PureWindowsPath, WindowsPath)

#: The greatest common divisor that Fraction() takes is quadratic in the size: 5 ms for parts of this many
#: bytes, half an hour for what fits in the largest value.
_FRACTION_BYTES = 1 << 14


class Leaf(NamedTuple):
    """How values of some types become bytes, and return from them."""

    code: int
    types: tuple[type, ...]
    write: Callable[[Any], bytes]
    read: Callable[[memoryview], Any]


def _write_integer(number: int) -> bytes:
    magnitude = number if number >= 0 else ~number
    return number.to_bytes(magnitude.bit_length() // 8 + 1, "little", signed=True)


def _read_integer(data: memoryview) -> int:
    return int.from_bytes(data, "little", signed=True)


def _write_text(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _read_text(data: memoryview) -> str:
    return str(data, "utf-8", "surrogatepass")


def _write_complex(value: complex) -> bytes:
    return _COMPLEX.pack(value.real, value.imag)


def _read_complex(data: memoryview) -> complex:
    return complex(*_COMPLEX.unpack(data))


def _write_date(value: date) -> bytes:
    return _DATE.pack(value.year, value.month, value.day)


def _read_date(data: memoryview) -> date:
    return date(*_DATE.unpack(data))


def _write_time(value: time) -> bytes:
    fields = _TIME.pack(value.hour, value.minute, value.second, value.microsecond, value.fold)
    return fields + _write_zone(value.tzinfo)


def _read_time(data: memoryview) -> time:
    hour, minute, second, microsecond, fold = _TIME.unpack_from(data)
    return time(hour, minute, second, microsecond, _read_zone(data[_TIME.size :]), fold=fold)


def _write_datetime(value: datetime) -> bytes:
    day, clock = (value.year, value.month, value.day), (value.hour, value.minute, value.second)
    return _DATETIME.pack(*day, *clock, value.microsecond, value.fold) + _write_zone(value.tzinfo)


def _read_datetime(data: memoryview) -> datetime:
    year, month, day, hour, minute, second, microsecond, fold = _DATETIME.unpack_from(data)
    zone = _read_zone(data[_DATETIME.size :])
    return datetime(year, month, day, hour, minute, second, microsecond, zone, fold=fold)


def _write_timedelta(value: timedelta) -> bytes:
    return _TIMEDELTA.pack(value.days, value.seconds, value.microseconds)


def _read_timedelta(data: memoryview) -> timedelta:
    return timedelta(*_TIMEDELTA.unpack(data))


def _write_zone(zone: tzinfo | None) -> bytes:
    if zone is None:
        return b""
    if type(zone) is timezone:
        offset, *name = zone.__getinitargs__()  # type: ignore[attr-defined]  # the constructor's, for pickle
        return b"o" + _write_timedelta(offset) + b"".join(b"=" + _write_text(text) for text in name)
    key = getattr(zone, "key", None)
    if type(zone).__module__ == "zoneinfo" and isinstance(key, str):
        return b"z" + key.encode()
    raise TypeError(f"cannot store a time zone of type {type(zone).__qualname__}: use timezone or ZoneInfo")


def _read_zone(data: memoryview) -> tzinfo | None:
    if not data:
        return None
    if data[0] == ord("z"):
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        zone = str(data[1:], "ascii")
        try:
            return ZoneInfo(zone)
        except ZoneInfoNotFoundError:
            raise UnreadableError(f"this system knows no time zone {zone!r}") from None
    offset = _read_timedelta(data[1 : 1 + _TIMEDELTA.size])
    name = data[1 + _TIMEDELTA.size :]
    if name:
        return timezone(offset, _read_text(name[1:]))
    return timezone(offset)  # the singleton timezone.utc when zero


def _write_decimal(value: Decimal) -> bytes:
    return str(value).encode()


def _read_decimal(data: memoryview) -> Decimal:
    return Decimal(str(data, "ascii"))


def _write_fraction(value: Fraction) -> bytes:
    above, below = _write_integer(value.numerator), _write_integer(value.denominator)
    if max(len(above), len(below)) > _FRACTION_BYTES:
        raise TypeError(f"cannot store a Fraction whose parts exceed {_FRACTION_BYTES} bytes")
    return _LENGTH.pack(len(above)) + above + below


def _read_fraction(data: memoryview) -> Fraction:
    (length,) = _LENGTH.unpack_from(data)
    above, below = data[4 : 4 + length], data[4 + length :]
    if max(len(above), len(below)) > _FRACTION_BYTES:
        raise CodecError("a stored fraction is out of bounds")
    return Fraction(_read_integer(above), _read_integer(below))


def _write_uuid(value: UUID) -> bytes:
    return value.bytes


def _read_uuid(data: memoryview) -> UUID:
    return UUID(bytes=bytes(data))


def _write_path(value: PurePath) -> bytes:
    return bytes([_PATHS.index(type(value))]) + _write_text(str(value))


def _read_path(data: memoryview) -> PurePath:
    return _PATHS[data[0]](_read_text(data[1:]))


#: Integers beyond 64 bits and text with surrogates come here only when msgspec refuses them.
LEAVES = (
    Leaf(1, (int,), _write_integer, _read_integer),
    Leaf(2, (str,), _write_text, _read_text),
    Leaf(3, (bytearray,), bytes, bytearray),
    Leaf(4, (complex,), _write_complex, _read_complex),
    Leaf(5, (date,), _write_date, _read_date),
    Leaf(6, (time,), _write_time, _read_time),
    Leaf(7, (datetime,), _write_datetime, _read_datetime),
    Leaf(8, (timedelta,), _write_timedelta, _read_timedelta),
    Leaf(9, (Decimal,), _write_decimal, _read_decimal),
    Leaf(10, (Fraction,), _write_fraction, _read_fraction),
    Leaf(11, (UUID,), _write_uuid, _read_uuid),
    Leaf(12, _PATHS, _write_path, _read_path),
)
