"""Request traces from files: one id per line, a CSV column, or raw 32-bit integers; any of them in zstd.

Keys become dense numbers while they are read, so that of a long trace only its numbers and its different keys
are ever in memory.
"""

from __future__ import annotations

import csv
import sys
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import zstandard

from perfcore._native.simulate import Numbering
from perfcore.errors import PerfcoreError

__all__ = ["Trace", "TraceError", "read_trace"]

_BLOCK = 1 << 20
_RAW = {".u32", ".sz32"}
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_LARGEST = 2**32 - 1

_U32 = npt.NDArray[np.uint32]
_Progress = Callable[[int], object]


class TraceError(PerfcoreError, ValueError):
    """A trace could not be read; the message names the file, and the line where there are lines."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Dense ids in order of first appearance, the size of each request's object where known, and totals."""

    ids: _U32
    sizes: _U32 | None
    distinct: int

    @property
    def footprint(self) -> int:
        """The bytes of all different objects, each as at its first request; without sizes, their number."""
        if self.sizes is None:
            return self.distinct
        newest = np.maximum.accumulate(self.ids)
        first = np.append(True, newest[1:] > newest[:-1])
        return int(self.sizes[first].sum(dtype=np.uint64))


def read_trace(
    path: Path,
    column: str | None = None,
    sizes: str | None = None,
    header: bool = False,
    progress: _Progress = lambda done: None,
) -> Trace:
    """Read the trace at ``path`` ("-" is the standard input), in the format that its name ends with.

    ``column`` is the name or number (from 1) of the key's column in a CSV file; it makes a CSV file of any.
    ``sizes`` is the column of the objects' sizes there, elsewhere a file of one size per request. ``header``
    says that the first row is none of the data, which a column's name implies. ``progress(done)`` is called
    with bytes of the file. Raises :exc:`TraceError` or :exc:`OSError`.
    """
    kind = _kind(path)
    if column is not None or kind in _DELIMITERS:
        trace = _read_csv(path, column or "1", sizes, header, _DELIMITERS.get(kind, ","), progress)
    else:
        ids, distinct = _read_raw(path, progress) if kind in _RAW else _read_lines(path, progress)
        trace = Trace(ids, None if sizes is None else _read_sizes(Path(sizes), len(ids)), distinct)
    if not len(trace.ids):
        raise TraceError(f"{path}: the trace has no requests")
    return trace


def _kind(path: Path) -> str:
    """Return the suffix that tells the format, without that of the compression."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return next(reversed([suffix for suffix in suffixes[-2:] if suffix != ".zst"]), "")


# --- formats ------------------------------------------------------------------------------------------------


def _read_raw(path: Path, progress: _Progress) -> tuple[_U32, int]:
    numbering, parts = Numbering(), []
    for piece in _integers(path, progress):
        numbers = np.empty(len(piece), np.uint32)
        numbering.number(piece.astype(np.uint64), numbers)
        parts.append(numbers)
    return np.concatenate(parts) if parts else np.empty(0, np.uint32), len(numbering)


def _read_lines(path: Path, progress: _Progress) -> tuple[_U32, int]:
    numbers: defaultdict[bytes, int] = defaultdict(count().__next__)
    ids = array("I")
    for block in _whole_lines(path, progress):
        ids.extend(map(numbers.__getitem__, filter(None, map(bytes.strip, block.splitlines()))))
    return np.array(ids, np.uint32), len(numbers)


def _read_sizes(path: Path, requests: int) -> _U32:
    if _kind(path) in _RAW:
        sizes = np.concatenate([np.empty(0, np.uint32), *_integers(path)])
    else:
        lines = (line for block in _whole_lines(path) for line in block.splitlines())
        texts = enumerate((line.decode("latin-1") for line in lines), 1)
        sizes = np.array(array("I", (_size(path, number, text) for number, text in texts)), np.uint32)
    if len(sizes) != requests:
        raise TraceError(f"{path}: {len(sizes)} sizes for a trace of {requests} requests")
    return sizes


def _size(path: Path, line: int, text: str) -> int:
    try:
        size = int(text)
    except ValueError:
        raise TraceError(f"{path}, line {line}: {text[:40].strip()!r} is no size in bytes") from None
    if not 0 <= size <= _LARGEST:
        raise TraceError(f"{path}, line {line}: a size is from 0 to {_LARGEST}, not {size}")
    return size


def _read_csv(
    path: Path, column: str, sizes: str | None, header: bool, delimiter: str, progress: _Progress
) -> Trace:
    lines = (
        line.decode("utf-8-sig" if at == 0 else "utf-8", "surrogateescape")
        for at, line in enumerate(
            line for block in _whole_lines(path, progress) for line in block.splitlines(keepends=True)
        )
    )
    rows = csv.reader(lines, delimiter=delimiter)
    named = not (column.isdecimal() and (sizes is None or sizes.isdecimal()))
    try:
        names = next(rows, []) if header or named else None
        key_at = _position(path, column, names)
        size_at = None if sizes is None else _position(path, sizes, names)
        return _columns(path, rows, key_at, size_at)
    except csv.Error as error:
        raise TraceError(f"{path}, line {rows.line_num}: {error}") from None


def _position(path: Path, column: str, names: list[str] | None) -> int:
    """Return the index of a column that is named, or numbered from 1."""
    if names is not None and column in names:
        return names.index(column)
    if not column.isdecimal():
        raise TraceError(
            f"{path}: no column {column!r}; there are {', '.join(map(repr, names or [])) or 'none'}"
        )
    if column == "0":
        raise TraceError(f"{path}: columns are numbered from 1")
    return int(column) - 1


def _columns(path: Path, rows: Iterable[list[str]], key_at: int, size_at: int | None) -> Trace:
    numbers: defaultdict[str, int] = defaultdict(count().__next__)
    ids, sizes = array("I"), array("I")
    for row in rows:
        if not row:
            continue
        try:
            key, size = row[key_at], None if size_at is None else row[size_at]
        except IndexError:
            raise TraceError(f"{path}, line {_line(rows)}: the row has only {len(row)} columns") from None
        ids.append(numbers[key])
        if size is not None:
            sizes.append(_size(path, _line(rows), size))
    weights = None if size_at is None else np.array(sizes, np.uint32)
    return Trace(np.array(ids, np.uint32), weights, len(numbers))


def _line(rows: Iterable[list[str]]) -> int:
    return int(getattr(rows, "line_num", 0))


# --- bytes --------------------------------------------------------------------------------------------------


def _integers(path: Path, progress: _Progress = lambda done: None) -> Iterator[_U32]:
    """Yield the 32-bit integers of a file, little-endian, block by block."""
    rest = b""
    for block in _blocks(path, progress):
        data = rest + block
        whole = len(data) & ~3
        rest = data[whole:]
        yield np.frombuffer(data[:whole], "<u4").astype(np.uint32, copy=False)
    if rest:
        raise TraceError(f"{path}: {len(rest)} bytes more than whole 4-byte integers")


def _whole_lines(path: Path, progress: _Progress = lambda done: None) -> Iterator[bytes]:
    """Yield blocks that end with a line's end; the last one may lack it."""
    parts: list[bytes] = []
    for block in _blocks(path, progress):
        lines, newline, rest = block.rpartition(b"\n")
        if newline:
            yield b"".join([*parts, lines, newline])
            parts = []
        parts.append(rest)
    yield b"".join(parts)


def _blocks(path: Path, progress: _Progress) -> Iterator[bytes]:
    """Yield the bytes of a file, decompressed where its name ends with .zst."""
    with sys.stdin.buffer if str(path) == "-" else path.open("rb") as file:
        read = _told(file, progress)
        yield from _decompressed(path, read) if path.suffix.lower() == ".zst" else read


def _told(file: BinaryIO, progress: _Progress) -> Iterator[bytes]:
    done = 0
    while block := file.read(_BLOCK):
        yield block
        done += len(block)
        progress(done)


def _decompressed(path: Path, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress frame after frame; a frame that is cut off is an error, not the end."""
    frame = None
    try:
        for block in blocks:
            while block:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                yield frame.decompress(block)
                block, frame = frame.unused_data, None if frame.eof else frame
    except zstandard.ZstdError as error:
        raise TraceError(f"{path}: {error}") from None
    if frame is not None:
        raise TraceError(f"{path}: the compressed data is cut off")
