"""What a run over many files came to."""

from __future__ import annotations

from collections import Counter
from typing import Any

from perfcore.parsing.result import ParseResult

__all__ = ["RunSummary"]


class RunSummary:
    """Counts over results as they come; ``seconds`` is the caller's wall time.

    >>> summary = RunSummary()
    >>> summary.add(ParseResult(path="a.py", language="python", parse_time=0.25))
    >>> summary.files, summary.percentile(50), summary.sources["parsed"]
    (1, 0.25, 1)
    """

    def __init__(self) -> None:
        self.files = 0
        self.bytes = 0
        self.symbols = 0
        self.imports = 0
        self.nodes = 0
        self.with_errors = 0  #: files with broken syntax
        self.failed = 0  #: files that should have been parsed cleanly and were not
        self.seconds = 0.0
        self.languages: Counter[str] = Counter()
        self.sources: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self._times: list[float] = []
        self._sorted = True

    def add(self, result: ParseResult) -> None:
        """Count ``result``."""
        self.failed += result.failed
        if result.skipped is not None:
            self.skipped[result.skipped] += 1
            return
        self.files += 1
        self.bytes += result.size
        self.symbols += len(result.symbols)
        self.imports += len(result.imports)
        self.nodes += result.node_count
        self.with_errors += bool(result.syntax_errors)
        self.languages[result.language or "?"] += 1
        self.sources[result.source] += 1
        self._times.append(result.parse_time)
        self._sorted = False

    @property
    def files_per_second(self) -> float:
        """Parsed or recalled files per second of wall time."""
        return self.files / self.seconds if self.seconds else 0.0

    def percentile(self, percent: float) -> float:
        """Return the nearest-rank percentile of the seconds per file; 0 when there was no file."""
        if not self._times:
            return 0.0
        if not self._sorted:
            self._times.sort()
            self._sorted = True
        rank = -(-percent * len(self._times) // 100)
        return self._times[max(0, int(rank) - 1)]

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as plain data, seconds as numbers."""
        return {
            "files": self.files,
            "bytes": self.bytes,
            "symbols": self.symbols,
            "imports": self.imports,
            "nodes": self.nodes,
            "languages": dict(self.languages.most_common()),
            "sources": {
                tier: self.sources[tier]
                for tier in ("parsed", "memory", "disk", *(("remote",) if self.sources["remote"] else ()))
            },
            "skipped": dict(self.skipped.most_common()),
            "files_with_syntax_errors": self.with_errors,
            "failed": self.failed,
            "seconds": self.seconds,
            "files_per_second": self.files_per_second,
            "seconds_per_file": {f"p{p}": self.percentile(p) for p in (50, 95, 99)},
        }
