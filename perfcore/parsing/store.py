"""Results by file and by content, in memory and on disk.

Two kinds of key. A *file* leads to its fingerprint and content hash, so that an unchanged file is answered
without reading it; a *content* leads to the result, so that a touched, copied or moved file is not parsed
again. The disk tier is only read below the fingerprint or the content, never believed about a file that says
otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import MsgspecError, Struct, msgpack
from msgspec.structs import replace

from perfcore.parsing.fingerprint import Fingerprint
from perfcore.parsing.index import FileIndex, FileRecord
from perfcore.parsing.reading import Content
from perfcore.parsing.result import ParseResult, Source, skip
from perfcore.parsing.shared import SharedResults, content_key

if TYPE_CHECKING:
    from perfcore.types import Store

__all__ = ["ResultStore", "decode_result", "encode_result", "weigh"]

encode_result = msgpack.Encoder().encode
decode_result = msgpack.Decoder(ParseResult).decode

#: Bytes of a record with its strings and numbers, measured by sys.getsizeof over the standard library's
#: results.
_RESULT_BYTES, _SYMBOL_BYTES, _RECORD_BYTES = 700, 430, 300


class Entry(Struct, frozen=True, gc=False):
    """What memory holds of a file; the fingerprint is None while the file is too young to be known by it."""

    fingerprint: Fingerprint | None
    result: ParseResult


def weigh(_path: str, entry: Entry) -> int:
    """Return about how many bytes ``entry`` takes in memory."""
    result = entry.result
    records = len(result.imports) + len(result.syntax_errors)
    return _RESULT_BYTES + _SYMBOL_BYTES * len(result.symbols) + _RECORD_BYTES * records


class ResultStore:
    """The tiers below the parser; each may be missing. Paths are absolute."""

    def __init__(self, memory: Store | None, disk: Store | None, shared: SharedResults | None = None) -> None:
        self._memory = memory
        self._disk = disk
        self._shared = shared
        self._index = FileIndex(disk) if disk is not None else None

    def recall(self, path: str, fingerprint: Fingerprint) -> ParseResult | None:
        """Return the result of the file at ``path`` if it is known by its fingerprint."""
        entry = self._entry(path)
        if entry is not None and entry.fingerprint == fingerprint:
            return _from(entry.result, "memory")
        record = self._index.get(path) if self._index is not None else None
        if record is None or record.fingerprint != fingerprint:
            return None
        if record.skipped is not None:
            result: ParseResult | None = skip("", record.skipped, record.detail)
        else:
            result = self._by_content(record.language, record.content_hash)
        if result is not None:
            self._keep(path, fingerprint, result)
        return result

    def recall_content(self, path: str, content: Content) -> ParseResult | None:
        """Return the result of what was just read from ``path`` if that content is known."""
        entry = self._entry(path)
        if (
            entry is not None
            and entry.result.content_hash == content.content_hash
            and entry.result.language == content.language
        ):
            result: ParseResult | None = _from(entry.result, "memory")
        else:
            result = self._by_content(content.language, content.content_hash)
        if result is not None:
            self._keep(path, content.fingerprint, result)
            self._note(path, content.fingerprint, result)
        return result

    def may_know(self, path: str) -> bool:
        """Say whether reading the file at ``path`` could lead to a known content."""
        return self._disk is not None or self._shared is not None or self._entry(path) is not None

    def remember(
        self,
        path: str,
        fingerprint: Fingerprint | None,
        result: ParseResult,
        encoded: bytes | None = None,
        share: bool = True,
    ) -> None:
        """Keep a fresh ``result``; a skip is kept only if a fingerprint says when to look again.

        What comes from a node of a cluster is shared already.
        """
        if result.skipped is not None and fingerprint is None:
            return
        self._keep(path, fingerprint, result)
        if result.skipped is None:
            assert result.language is not None
            share = share and self._shared is not None
            if encoded is None and (share or self._disk is not None):
                encoded = encode_result(result)
            if self._disk is not None:
                self._disk.set(content_key(result.language, result.content_hash), encoded)
            if share and self._shared is not None and encoded is not None:
                self._shared.remember([(result.language, result.content_hash, encoded)])
        self._note(path, fingerprint, result)

    def flush(self) -> None:
        """Hand to the disk tier what is held back for it."""
        if self._index is not None:
            self._index.flush()

    def forget_memory(self) -> None:
        """Give up what is held in memory; the disk tier still has it."""
        self.flush()
        if self._index is not None:
            self._index.forget()
        if self._memory is not None:
            self._memory.clear()

    def renew_locks(self) -> None:
        """In a forked child: forget who held a lock."""
        if self._index is not None:
            self._index.renew_lock()

    def clear(self) -> None:
        """Give up everything in all tiers."""
        self.forget_memory()
        if self._disk is not None:
            self._disk.clear()
        if self._shared is not None:
            self._shared.clear()

    def _entry(self, path: str) -> Entry | None:
        entry: Entry | None = self._memory.get(path) if self._memory is not None else None
        return entry

    def _by_content(self, language: str, content_hash: str) -> ParseResult | None:
        data = self._disk.get(content_key(language, content_hash)) if self._disk is not None else None
        if data is not None:
            try:
                return _from(decode_result(data), "disk")
            except (MsgspecError, TypeError):  # not what this version writes there: to be overwritten
                pass
        data = self._shared.get(language, content_hash) if self._shared is not None else None
        if data is None:
            return None
        if self._disk is not None:
            self._disk.set(content_key(language, content_hash), data)
        return _from(decode_result(data), "remote")

    def _keep(self, path: str, fingerprint: Fingerprint | None, result: ParseResult) -> None:
        if self._memory is not None:
            self._memory.set(path, Entry(fingerprint, result))

    def _note(self, path: str, fingerprint: Fingerprint | None, result: ParseResult) -> None:
        if self._index is not None:
            language = result.language or ""
            record = FileRecord(fingerprint, language, result.content_hash, result.skipped, result.detail)
            self._index.put(path, record)


def _from(result: ParseResult, source: Source) -> ParseResult:
    return result if result.skipped is not None else replace(result, source=source)
