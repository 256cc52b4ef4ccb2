"""Many reads with few waits: neighbouring parts in one call, files announced to the kernel, read-ahead."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from perfcore._native.buffers import BufferPool
from perfcore._native.files import OpenFile
from perfcore.io.streams import AnyPath

__all__ = ["announce", "read_ahead", "read_many", "read_ranges"]

#: bytes between two parts that are read along rather than asked for separately
GAP: Final = 16 * 1024


def announce(file: OpenFile, offset: int = 0, size: int = 0) -> None:
    """Tell the kernel that a part of a file (0: all of it) will be read, so that it begins; a hint only."""
    if hasattr(os, "posix_fadvise"):
        try:
            os.posix_fadvise(file.fileno(), offset, size, os.POSIX_FADV_WILLNEED)
        except OSError:  # not on this file system
            pass


def read_many(paths: Iterable[AnyPath], window: int = 32) -> Iterator[tuple[AnyPath, bytes]]:
    """Yield each path with its content, in order; the kernel reads up to ``window`` files ahead meanwhile.

    Regular files only. Raises at its place what :func:`open` raises; whoever goes on asking gets the others.

    >>> [(path == os.__file__, len(content) > 1000) for path, content in read_many([os.__file__])]
    [(True, True)]
    """
    if window < 1:
        raise ValueError(f"Expected `int` >= 1, got {window} - at `window`")
    return _Many(iter(paths), window)


class _Many(Iterator[tuple[AnyPath, bytes]]):
    def __init__(self, paths: Iterator[AnyPath], window: int) -> None:
        self._paths, self._window = paths, window
        self._coming: deque[tuple[AnyPath, OpenFile | Exception]] = deque()

    def __next__(self) -> tuple[AnyPath, bytes]:
        while len(self._coming) < self._window:
            try:
                path = next(self._paths)
            except StopIteration:
                break
            self._coming.append((path, _announced(path)))
        if not self._coming:
            raise StopIteration
        path, file = self._coming.popleft()
        if isinstance(file, Exception):
            raise file
        content = file.read(False)
        assert content is not None, "nobody looked at the path"
        return path, content


def _announced(path: AnyPath) -> OpenFile | Exception:
    try:
        file = OpenFile(path)
    except (OSError, ValueError, TypeError) as error:
        return error
    announce(file)
    return file


def read_ranges(file: OpenFile, ranges: Sequence[tuple[int, int]], gap: int = GAP) -> list[bytes]:
    """Return parts of a file, ``(offset, size)`` each, in this order; those that are near in one call.

    Parts may overlap and end behind the file, where they are shorter. ``gap`` bytes between two parts are
    read along. Raises ValueError for negative numbers.

    >>> read_ranges(OpenFile(os.__file__), [(100, 3), (4, 2)]) == [
    ...     OpenFile(os.__file__).read_range(100, 3), OpenFile(os.__file__).read_range(4, 2)]
    True
    """
    for offset, size in ranges:
        if offset < 0 or size < 0:
            raise ValueError(f"offset and size are not negative: {offset}, {size}")
    out = [b""] * len(ranges)
    for run in _runs(ranges, gap):
        start = ranges[run[0]][0]
        end = max(ranges[index][0] + ranges[index][1] for index in run)
        whole = memoryview(file.read_range(start, end - start))
        for index in run:
            offset, size = ranges[index]
            out[index] = bytes(whole[offset - start : offset - start + size])
    return out


def _runs(ranges: Sequence[tuple[int, int]], gap: int) -> Iterator[list[int]]:
    """Yield the numbers of parts that are to be read together, by their place in the file."""
    run: list[int] = []
    end = 0
    for index in sorted(range(len(ranges)), key=ranges.__getitem__):
        offset, size = ranges[index]
        if run and offset - end > gap:
            yield run
            run, end = [], 0
        run.append(index)
        end = max(end, offset + size)
    if run:
        yield run


def read_ahead(
    path: AnyPath, block: int = 1 << 20, depth: int = 2, pool: BufferPool | None = None, drop: bool = False
) -> Iterator[memoryview]:
    """Yield a file in blocks, each valid until the next one; ``depth`` blocks are read ahead by the kernel.

    The blocks share one buffer of ``pool``, which is given back at the end. With ``drop`` the kernel is told
    to forget what was read, so that a large file does not push others out of the page cache. Raises what
    :func:`open` raises, and ValueError for what is no regular file.

    >>> sum(len(block) for block in read_ahead(os.__file__, block=1000)) == os.stat(os.__file__).st_size
    True
    """
    if block < 1 or depth < 0:
        raise ValueError(f"Expected `block` >= 1 and `depth` >= 0, got {block} and {depth}")
    return _blocks(OpenFile(path), block, depth, BufferPool(initial=0) if pool is None else pool, drop)


def _blocks(file: OpenFile, block: int, depth: int, pool: BufferPool, drop: bool) -> Iterator[memoryview]:
    offset = 0
    with pool.acquire(block) as buffer:
        announce(file, 0, block * (depth + 1))
        while done := file.readinto(buffer, offset):
            announce(file, offset + done + block * (depth - 1), block)
            with buffer.view(done) as view:
                yield view
            if drop and hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), offset, done, os.POSIX_FADV_DONTNEED)
            offset += done
