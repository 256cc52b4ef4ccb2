"""One file through the caches: looked up, read, parsed, remembered, counted. Safe under threads."""

# os.path.abspath: 1 µs where Path takes 6.
# ruff: noqa: PTH100
from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from perfcore.parsing.extract import extract
from perfcore.parsing.fingerprint import Fingerprint
from perfcore.parsing.languages import language_of, load
from perfcore.parsing.options import Limits
from perfcore.parsing.reading import Content, Skipped, fingerprint, read
from perfcore.parsing.result import ParseResult, skip
from perfcore.parsing.store import ResultStore, decode_result
from perfcore.parsing.wire import Answer

__all__ = ["Listener", "Miss", "ParserStats", "Pipeline"]


#: is told of each answer: seconds, and whether it failed
Listener = Callable[[float, bool], object]


class ParserStats(Struct, frozen=True):
    """What a parser has answered so far, by tier; skips by reason."""

    parsed: int
    memory_hits: int
    disk_hits: int
    skipped: dict[str, int]
    remote_hits: int = 0


class Miss(NamedTuple):
    """A file that has to be parsed, as it was ``seen``; ``content`` is what the search for it has read."""

    seen: Fingerprint
    content: Content | None

    @property
    def size(self) -> int:
        """Bytes."""
        return self.seen.size


class Tally:
    """Counts of answers, exact under threads."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = Lock()
        self.listeners: tuple[Listener, ...] = ()

    def renew_lock(self) -> None:
        """Forget who held the lock: in a forked child that thread does not exist."""
        self._lock = Lock()

    def count(self, result: ParseResult) -> None:
        """Count ``result`` by its tier, or by the reason why it was skipped, and tell the listeners."""
        with self._lock:
            self._counts[result.skipped or result.source] += 1
        for listener in self.listeners:
            listener(result.parse_time, result.failed)

    def stats(self) -> ParserStats:
        """Return the counts so far."""
        with self._lock:
            counts = dict(self._counts)
        tiers = (counts.pop(tier, 0) for tier in ("parsed", "memory", "disk", "remote"))
        parsed, memory, disk, remote = tiers
        return ParserStats(parsed, memory, disk, skipped=counts, remote_hits=remote)


class Pipeline:
    """The way of a file: its name as the caller spells it in, a :class:`ParseResult` out."""

    def __init__(
        self, store: ResultStore, limits: Limits, tally: Tally, after_parse: Callable[[], object]
    ) -> None:
        self._store = store
        self._limits = limits
        self._tally = tally
        self._after_parse = after_parse

    def run(self, name: str) -> ParseResult:
        """Answer the file ``name`` from the caches or by parsing it here."""
        started = time.perf_counter()
        path = os.path.abspath(name)
        try:
            found = self._look_up(path)
            result = self._parse(path, found.content) if isinstance(found, Miss) else found
        except Skipped as skipped:
            result = self._skip(path, skipped)
        return self._deliver(result, name, started)

    def recall(self, name: str) -> ParseResult | Miss:
        """Answer the file ``name`` if that takes no parsing."""
        started = time.perf_counter()
        path = os.path.abspath(name)
        try:
            result = self._look_up(path)
        except Skipped as skipped:
            result = self._skip(path, skipped)
        return result if isinstance(result, Miss) else self._deliver(result, name, started)

    def accept(self, name: str, answer: Answer) -> ParseResult:
        """Remember and return what a worker process says of the file ``name``."""
        return self._admit(name, answer, answer.fingerprint, True)

    def admit(self, name: str, answer: Answer, miss: Miss) -> ParseResult:
        """Remember and return what a node of a cluster says of the file that was missed here.

        It may have the file from elsewhere, where time stamps mean something else. Then it is known by what
        was read here, which is the same content, or not at all.
        """
        known = answer.fingerprint
        if known != miss.seen:
            known = miss.content.fingerprint if miss.content is not None else None
        return self._admit(name, answer, known, False)

    def fetch(self, name: str) -> Content | ParseResult:
        """Read the file ``name``; a result when it cannot be parsed."""
        started = time.perf_counter()
        path = os.path.abspath(name)
        try:
            return self._read(path)
        except Skipped as skipped:
            return self._deliver(self._skip(path, skipped), name, started)

    def _admit(self, name: str, answer: Answer, known: Fingerprint | None, share: bool) -> ParseResult:
        result = decode_result(answer.result)
        self._store.remember(os.path.abspath(name), known, result, answer.result, share)
        self._after_parse()
        if answer.shared:
            result = replace(result, source="remote", parse_time=0.0)
        self._tally.count(result)
        return replace(result, path=name)

    def _look_up(self, path: str) -> ParseResult | Miss:
        """Search by fingerprint, then by content where that can help; may raise :class:`Skipped`."""
        seen = fingerprint(path)
        result = self._store.recall(path, seen)
        if result is not None:
            return result
        if not self._store.may_know(path):
            language = language_of(path)
            if language is not None:
                load(language)  # a missing grammar is this process's error to raise, not a worker's to die of
            return Miss(seen, None)
        content = self._read(path)
        return self._store.recall_content(path, content) or Miss(seen, content)

    def _parse(self, path: str, content: Content | None) -> ParseResult:
        content = content or self._read(path)
        result = extract(content, self._limits.max_parse_time)
        self._store.remember(path, content.fingerprint, result)
        self._after_parse()
        return result

    def _read(self, path: str) -> Content:
        return read(path, self._limits.max_file_size, self._limits.piece_size)

    def _skip(self, path: str, skipped: Skipped) -> ParseResult:
        result = skip("", skipped.reason, skipped.detail)
        self._store.remember(path, skipped.fingerprint, result)
        return result

    def _deliver(self, result: ParseResult, name: str, started: float) -> ParseResult:
        result = replace(result, path=name, parse_time=time.perf_counter() - started)
        self._tally.count(result)
        return result
