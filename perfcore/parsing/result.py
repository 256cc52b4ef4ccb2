"""The records a parse gives: small, frozen, and the same bytes in a worker's answer and on disk.

``array_like`` halves what is stored (field names are not repeated per symbol); ``gc=False`` keeps a memory
cache of 100 000 symbols out of every full collection, which is safe because nothing here can refer back to
itself.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

__all__ = ["Import", "Kind", "ParseResult", "SkipReason", "Source", "Symbol", "SyntaxIssue"]

Kind = Literal[
    "function", "method", "class", "interface", "struct", "union", "enum", "trait", "module", "type", "macro"
]
Source = Literal["parsed", "memory", "disk", "remote", "skipped"]

#: ``fault`` reasons mean that something which should have been parsed was not (what ``--strict`` is about);
#: the others say that the file was never meant to be.
SkipReason = Literal[
    "unknown-language",
    "binary",
    "ignored",
    "version-control",
    "symlink",
    "directory",
    "special-file",
    "loop",
    "too-large",
    "too-slow",
    "unreadable",
    "missing",
    "changing",
    "crashed",
]
FAULTS: frozenset[str] = frozenset(
    {"too-large", "too-slow", "unreadable", "missing", "changing", "crashed", "loop"}
)


class Symbol(Struct, frozen=True, gc=False, array_like=True):
    """One definition in a source file.

    Lines are 1-based, bytes are offsets into the file as it lies on disk, ends are exclusive for bytes and
    inclusive for lines. ``start_line`` is the line of the definition itself, as in CPython's ``ast``: for a
    decorated Python function the line of ``def``; ``first_line`` is where its decorators begin.
    """

    kind: Kind
    name: str
    qualified_name: str
    first_line: int
    start_line: int
    end_line: int
    start_byte: int
    end_byte: int


class Import(Struct, frozen=True, gc=False, array_like=True):
    """One imported name: ``from module import name as alias``, in any language's spelling.

    ``name`` is None when the module itself is imported and ``*`` when everything in it is.
    """

    module: str
    name: str | None
    alias: str | None
    line: int


class SyntaxIssue(Struct, frozen=True, gc=False, array_like=True):
    """A place where the text does not follow its grammar; lines from 1, columns in bytes from 0."""

    message: str
    line: int
    column: int
    start_byte: int
    end_byte: int


class ParseResult(Struct, frozen=True, gc=False, array_like=True, kw_only=True):
    """What is known of one file. Never an exception: a file that gave nothing says why in ``skipped``.

    ``parse_time`` is the seconds it took to give this answer, whichever tier it came from; ``size`` is in
    bytes.

    >>> from perfcore.parsing.result import ParseResult
    >>> ParseResult(path="a.py", language="python", symbols=()).ok
    True
    >>> ParseResult(path="a.fifo", skipped="special-file", source="skipped").ok
    False
    """

    path: str
    language: str | None = None
    content_hash: str = ""
    size: int = 0
    encoding: str = "utf-8"
    node_count: int = 0
    symbols: tuple[Symbol, ...] = ()
    imports: tuple[Import, ...] = ()
    syntax_errors: tuple[SyntaxIssue, ...] = ()
    source: Source = "parsed"
    parse_time: float = 0.0
    skipped: SkipReason | None = None
    detail: str = ""

    @property
    def ok(self) -> bool:
        """True when the file was parsed, now or earlier; it may still hold ``syntax_errors``."""
        return self.skipped is None

    @property
    def failed(self) -> bool:
        """True when the file should have been parsed cleanly and was not: a faulty skip or broken syntax."""
        return self.skipped in FAULTS or bool(self.syntax_errors)


def skip(path: str, reason: SkipReason, detail: str = "") -> ParseResult:
    """Return the result of a file that was not parsed."""
    return ParseResult(path=path, source="skipped", skipped=reason, detail=detail)
