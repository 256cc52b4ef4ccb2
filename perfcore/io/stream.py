"""A raw stream with a position of its own over an open file that others read, too."""

from __future__ import annotations

import io
import os
from typing import Any

from perfcore._native.files import OpenFile
from perfcore._repr import safe_repr

__all__ = ["Stream"]


class Stream(io.RawIOBase):
    """A binary stream over an :class:`OpenFile`; closing it closes nothing that others read.

    >>> with Stream(OpenFile(os.__file__)) as stream:
    ...     stream.seek(3), len(stream.read(5)), stream.tell()
    (3, 5, 8)
    """

    def __init__(self, file: OpenFile) -> None:
        self._file: OpenFile | None = file
        self._position = 0
        self.name = file.path

    @safe_repr
    def __repr__(self) -> str:
        return f"<Stream {self.name!r}{', closed' if self.closed else ''}>"

    def _open(self) -> OpenFile:
        if self._file is None:
            raise ValueError("I/O operation on closed file")
        return self._file

    def readable(self) -> bool:
        """Say that it can be read."""
        self._open()
        return True

    def seekable(self) -> bool:
        """Say that it can be positioned."""
        self._open()
        return True

    def fileno(self) -> int:
        """Return the descriptor, which others use, too: do not close it or move its position."""
        return self._open().fileno()

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer from the position on; return how many bytes, 0 at the end."""
        done = self._open().readinto(buffer, self._position)
        self._position += done
        return done

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position, also beyond the end; return it."""
        file = self._open()
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position}.get(whence)
        if whence == os.SEEK_END:
            start = os.fstat(file.fileno()).st_size
        if start is None or start + offset < 0:
            raise ValueError(f"cannot seek to {offset} from {whence}")
        self._position = start + offset
        return self._position

    def close(self) -> None:
        """Let go of the file."""
        self._file = None
        super().close()
