"""The options of a parser: the guide's, and the limits that keep one file from stopping a run."""

from __future__ import annotations

import os
from typing import Any, Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import force_setattr

from perfcore.units import parse_duration, parse_size

__all__ = ["Limits", "ParserOptions"]


class Limits(NamedTuple):
    """What reading and parsing one file may take; sent to the worker processes."""

    max_file_size: int
    piece_size: int | None
    max_parse_time: float


class ParserOptions(Struct, frozen=True, kw_only=True):
    """Validated options of :func:`~perfcore.parsing.optimize_for_performance`, sizes in bytes.

    >>> ParserOptions(cache_size="1MB").cache_size
    1048576
    >>> ParserOptions(batch_size=0)
    Traceback (most recent call last):
    ValueError: batch_size: expected an integer of at least 1, got 0
    """

    #: keep results in memory, and on disk unless ``cache_directory`` is False
    enable_parse_cache: bool = True
    #: bytes that the results in memory may take
    cache_size: int | str = "256MB"
    #: seconds after which a result is parsed again although its file did not change; None: never
    cache_ttl: float | None = None
    #: where the disk tier lives; None: the user's cache directory; False: no disk tier
    cache_directory: str | os.PathLike[str] | Literal[False] | None = None
    #: where many machines share results: the URL of a Valkey or Redis server, or nodes of a cluster
    #: ("host:port"); None: nowhere
    remote: str | tuple[str, ...] | None = None
    #: send files to worker processes in groups of at most ``batch_size``, else one by one
    enable_batching: bool = True
    batch_size: int = 50
    #: worker processes of ``parse_many`` and threads of ``aparse_file``, at most; None: one per available CPU
    max_concurrency: int | None = 4
    #: collect garbage, then give up cached results, while memory use is above ``gc_threshold``, a share (0-1)
    #: of the memory that the process may use: the container's limit, else the machine's
    enable_memory_optimization: bool = True
    gc_threshold: float = 0.8
    #: read files in pieces of ``buffer_size`` bytes, hashing each while the CPU has it at hand
    enable_stream_processing: bool = True
    buffer_size: int | str = "64KB"
    #: larger files are skipped as ``too-large``: a syntax tree takes up to 300 times the size of its text
    max_file_size: int | str = "10MB"
    #: seconds after which parsing one file is given up as ``too-slow``
    max_parse_time: float = 30.0

    def __post_init__(self) -> None:
        """Check and normalise every option; the record is frozen for everyone else."""
        for name, check in _CHECKS.items():
            try:
                value = check(getattr(self, name))
            except (TypeError, ValueError) as error:
                raise type(error)(f"{name}: {error}") from None
            force_setattr(self, name, value)

    @property
    def limits(self) -> Limits:
        """The part of the options that reading and parsing one file needs."""
        assert isinstance(self.max_file_size, int) and isinstance(self.buffer_size, int)
        piece = self.buffer_size if self.enable_stream_processing else None
        return Limits(self.max_file_size, piece, self.max_parse_time)


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"expected True or False, got {value!r}")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"expected an integer, got {value!r}")
    if value < 1:
        raise ValueError(f"expected an integer of at least 1, got {value}")
    return value


def _optional_count(value: Any) -> int | None:
    return None if value is None else _count(value)


def _positive_size(value: Any) -> int:
    size = parse_size(value)
    if size < 1:
        raise ValueError(f"expected at least 1 byte, got {value!r}")
    return size


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"expected a number from 0 to 1, got {value!r}")
    if not 0 <= value <= 1:
        raise ValueError(f"expected a number from 0 to 1, got {value!r}")
    return float(value)


def _seconds(value: Any) -> float:
    seconds = parse_duration(value)
    if seconds <= 0:
        raise ValueError(f"expected more than 0 seconds, got {value!r}")
    return seconds


def _optional_seconds(value: Any) -> float | None:
    return None if value is None else _seconds(value)


def _directory(value: Any) -> str | Literal[False] | None:
    if value is None or value is False:
        return value
    if isinstance(value, str | os.PathLike):
        return os.fsdecode(value)
    raise TypeError(f"expected a path, None or False, got {value!r}")


def _servers(value: Any) -> str | tuple[str, ...] | None:
    if value is None or (isinstance(value, str) and "://" in value):
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(node, str) for node in value):
        return tuple(value)
    kind = ValueError if isinstance(value, str | list | tuple) else TypeError
    raise kind(f"expected a URL like redis://host:6379, or some of a cluster's nodes, got {value!r}")


_CHECKS = {
    "enable_parse_cache": _switch,
    "cache_size": parse_size,
    "cache_ttl": _optional_seconds,
    "cache_directory": _directory,
    "remote": _servers,
    "enable_batching": _switch,
    "batch_size": _count,
    "max_concurrency": _optional_count,
    "enable_memory_optimization": _switch,
    "gc_threshold": _share,
    "enable_stream_processing": _switch,
    "buffer_size": _positive_size,
    "max_file_size": _positive_size,
    "max_parse_time": _seconds,
}
