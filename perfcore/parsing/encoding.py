"""Bytes of a source file as the UTF-8 that tree-sitter reads, and offsets back to the bytes on disk."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from typing import NamedTuple

from perfcore.parsing.result import SyntaxIssue

__all__ = ["Text", "decode", "has_wide_bom", "original_offsets"]

# Longest first: the UTF-32 mark begins with the UTF-16 one.
_WIDE_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_COOKIE = re.compile(rb"^[ \t\f]*#[^\r\n]*?coding[:=][ \t]*([-\w.]+)")
_BLANK = re.compile(rb"^[ \t\f]*(?:#[^\r\n]*)?(?:\r\n?|\n)")
_LONE_RETURN = re.compile(rb"\r(?!\n)")
#: codecs whose decoder takes quadratic time: a cookie must not be able to stop the run
_SLOW_CODECS = frozenset({"punycode", "idna"})


class Text(NamedTuple):
    """What is parsed in place of the file; as long as the file unless ``recoded``."""

    data: bytes
    encoding: (
        str  #: as Python names it, or ``unknown-8bit`` when the bytes are no text in the expected encoding
    )
    bom: int = 0  #: bytes before the text in the file
    recoded: bool = False
    issue: SyntaxIssue | None = None


def has_wide_bom(data: bytes) -> bool:
    """Say whether NUL bytes are to be expected: the data starts as UTF-16 or UTF-32 text does."""
    return data.startswith(tuple(bom for bom, _ in _WIDE_BOMS))


def decode(raw: bytes, language: str) -> Text:
    """Return ``raw`` as UTF-8: by byte order mark, by coding cookie (Python, PEP 263), else as it is.

    Never raises: what does not decode is parsed as it lies there, with a :class:`SyntaxIssue` at the first
    bad byte. A lone carriage return becomes a newline, as the languages that allow it define (Python,
    JavaScript, Java).

    >>> decode("# coding: latin-1\\nÿ = 1\\n".encode("latin-1"), "python").encoding
    'iso8859-1'
    """
    text = _decode(raw, language)
    if b"\r" in text.data:
        return text._replace(data=_LONE_RETURN.sub(b"\n", text.data))
    return text


def _decode(raw: bytes, language: str) -> Text:
    for bom, encoding in _WIDE_BOMS:
        if raw.startswith(bom):
            return _recode(raw, encoding, len(bom))
    cookie = _cookie(raw) if language == "python" and not raw.startswith(codecs.BOM_UTF8) else "utf-8"
    if cookie != "utf-8":
        return _recode(raw, cookie, 0)
    try:
        if not raw.isascii():
            raw.decode()
    except UnicodeDecodeError as error:
        return _undecodable(raw, "utf-8", error.start)
    return Text(raw, "utf-8")


def _cookie(raw: bytes) -> str:
    """Return the declared encoding by its canonical name; an unknown one is returned as it is spelled."""
    match = _COOKIE.match(raw)
    if match is None and (first := _BLANK.match(raw)):
        match = _COOKIE.match(raw[first.end() : first.end() + 1024])
    if match is None:
        return "utf-8"
    name = match[1].decode("ascii", "replace").lower().replace("_", "-")
    name = re.sub(r"^(utf-8|latin-1|iso-8859-1|iso-latin-1)-.*", r"\1", name)  # Emacs adds -unix and the like
    try:
        return codecs.lookup(name).name
    except LookupError:
        return name


def _recode(raw: bytes, encoding: str, bom: int) -> Text:
    try:
        if encoding in _SLOW_CODECS:
            raise LookupError(encoding)
        return Text(raw[bom:].decode(encoding).encode(), encoding, bom, recoded=True)
    except UnicodeDecodeError as error:
        return _undecodable(raw, encoding, bom + error.start)
    except (LookupError, UnicodeError):  # no text encoding at all, or one that gives lone surrogates
        return _undecodable(raw, encoding, 0)


def _undecodable(raw: bytes, encoding: str, start: int) -> Text:
    row, column = raw.count(b"\n", 0, start) + 1, start - (raw.rfind(b"\n", 0, start) + 1)
    issue = SyntaxIssue(f"not valid {encoding}", row, column, start, min(start + 1, len(raw)))
    return Text(raw, "unknown-8bit", issue=issue)


def original_offsets(text: Text, offsets: Iterable[int]) -> dict[int, int]:
    """Map ``offsets`` into ``text.data`` to offsets into the file it was decoded from."""
    found: dict[int, int] = {}
    position, original = 0, text.bom
    for offset in sorted(set(offsets)):
        piece = text.data[position:offset].decode("utf-8", "replace")
        original += len(piece.encode(text.encoding, "replace"))
        position = offset
        found[offset] = original
    return found
