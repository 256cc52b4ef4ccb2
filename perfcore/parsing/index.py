"""What the disk knows of files: a page for each directory, as git's index has one for each work tree.

A record for each file would double the entries that a cold run writes, which was 3 % of its time; and a tree
is looked at directory by directory. A page is written when much of it is new, at the first change after a
second, and on closing: what a killed process had not written costs the next one a read of those files, no
more. Of two processes that write one page the later wins, at the same price.
"""

from __future__ import annotations

import os
import time
from threading import Lock
from typing import TYPE_CHECKING

from msgspec import MsgspecError, Struct, msgpack

from perfcore.parsing.fingerprint import Fingerprint
from perfcore.parsing.languages import detection_schema
from perfcore.parsing.result import SkipReason

if TYPE_CHECKING:
    from perfcore.types import Store

__all__ = ["FileIndex", "FileRecord"]

_INTERVAL = 1.0
#: Pages held in memory; more are written and dropped.
_MOST_PAGES = 512


class FileRecord(Struct, frozen=True, gc=False, array_like=True):
    """Which content a file had, or why it was skipped; no fingerprint while the file is too young."""

    fingerprint: Fingerprint | None
    language: str = ""
    content_hash: str = ""
    skipped: SkipReason | None = None
    detail: str = ""


class _Page:
    """The records of one directory, by name; ``fresh`` are those that the disk does not have yet."""

    def __init__(self, records: dict[bytes, FileRecord]) -> None:
        self.records = records
        self.fresh = 0


_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder(dict[bytes, FileRecord]).decode


class FileIndex:
    """Records of files by absolute path, over the entries of ``disk``. Safe under threads."""

    def __init__(self, disk: Store) -> None:
        self._disk = disk
        self._pages: dict[str, _Page] = {}
        self._lock = Lock()
        self._next_flush = 0.0

    def get(self, path: str) -> FileRecord | None:
        """Return the record of the file at ``path``."""
        directory, _, name = path.rpartition("/")
        with self._lock:
            return self._page(directory).records.get(os.fsencode(name))

    def put(self, path: str, record: FileRecord) -> None:
        """Keep ``record`` for the file at ``path``, and write what is due."""
        directory, _, name = path.rpartition("/")
        with self._lock:
            page = self._page(directory)
            page.records[os.fsencode(name)] = record
            page.fresh += 1
            now = time.monotonic()
            if page.fresh == 1 and self._next_flush == 0.0:
                self._next_flush = now + _INTERVAL
            if now >= self._next_flush:
                self._flush()
            elif page.fresh > 64 + len(page.records) // 2:
                self._write(directory, page)

    def flush(self) -> None:
        """Write every page that has news."""
        with self._lock:
            self._flush()

    def forget(self) -> None:
        """Drop what is held in memory, unwritten."""
        with self._lock:
            self._pages.clear()

    def renew_lock(self) -> None:
        """Forget who held the lock: in a forked child that thread does not exist."""
        self._lock = Lock()

    def _page(self, directory: str) -> _Page:
        page = self._pages.get(directory)
        if page is None:
            if len(self._pages) >= _MOST_PAGES:
                self._flush()
                self._pages.clear()
            page = self._pages[directory] = _Page(self._read(directory))
        return page

    def _read(self, directory: str) -> dict[bytes, FileRecord]:
        data = self._disk.get(_key(directory))
        try:
            return _decode(data) if data is not None else {}
        except (MsgspecError, TypeError):  # not what this version writes there
            return {}

    def _flush(self) -> None:
        self._next_flush = 0.0
        for directory, page in self._pages.items():
            if page.fresh:
                self._write(directory, page)

    def _write(self, directory: str, page: _Page) -> None:
        self._disk.set(_key(directory), _encode(page.records))
        page.fresh = 0


def _key(directory: str) -> tuple[str, str, bytes]:
    return ("parse.files", detection_schema(), os.fsencode(directory))
