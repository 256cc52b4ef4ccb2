"""Content to result: decode, parse within a time budget, walk. Pure: no file, no cache."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from perfcore.parsing.encoding import Text, decode, original_offsets
from perfcore.parsing.languages import Grammar, load
from perfcore.parsing.reading import Content, Skipped
from perfcore.parsing.result import ParseResult, Symbol, SyntaxIssue
from perfcore.parsing.symbols import walk

if TYPE_CHECKING:
    from tree_sitter import Node, Tree

__all__ = ["extract"]

#: Up to this size parsing is not timed: the callbacks cost 5 %, and the worst input found takes 1 s.
UNTIMED = 256 * 1024

#: A file with more is not source text in its language; the walk over its ruins stops there.
MAX_SYNTAX_ERRORS = 200

_Place = TypeVar("_Place", Symbol, SyntaxIssue)


def extract(content: Content, budget: float) -> ParseResult:
    """Return what is in ``content``, with an empty path.

    ``budget`` is the seconds that parsing may take: error recovery is quadratic for some inputs (1 MB of
    quotes took the JavaScript grammar 17 s). Raises :class:`~perfcore.parsing.reading.Skipped` when it is
    used up.
    """
    grammar = load(content.language)
    text = decode(content.raw, content.language)
    root = _parse(grammar, text.data, budget).root_node
    symbols, imports = walk(root, text.data, grammar.table)
    result = ParseResult(
        path="",
        language=content.language,
        content_hash=content.content_hash,
        size=len(content.raw),
        encoding=text.encoding,
        node_count=root.descendant_count,
        symbols=symbols,
        imports=imports,
        syntax_errors=_syntax_errors(root, text),
    )
    return _in_file_bytes(result, text) if text.recoded else result


def _parse(grammar: Grammar, data: bytes, budget: float) -> Tree:
    parser = grammar.parser
    if len(data) <= UNTIMED:
        return parser.parse(data)
    clock, deadline = time.monotonic, time.monotonic() + budget
    view = memoryview(data)
    try:  # the callbacks also let other threads run
        return parser.parse(lambda at, _: view[at:], progress_callback=lambda at, _: clock() > deadline)
    except ValueError:
        parser.reset()
        raise Skipped("too-slow", f"parsing took more than {budget:g} s") from None
    except BaseException:  # Ctrl-C: the next file must not resume this parse
        parser.reset()
        raise


def _syntax_errors(root: Node, text: Text) -> tuple[SyntaxIssue, ...]:
    """Return the innermost error nodes in the order of the file, after what decoding found."""
    issues = [text.issue] if text.issue is not None else []
    pending = [root] if root.has_error else []
    while pending and len(issues) < MAX_SYNTAX_ERRORS:
        node = pending.pop()
        inner = [child for child in node.children if child.has_error]
        if inner:
            pending.extend(reversed(inner))
        else:
            issues.append(_issue(node, text.data))
    return tuple(issues)


def _issue(node: Node, data: bytes) -> SyntaxIssue:
    row, column = node.start_point
    start, end = node.start_byte, node.end_byte
    if node.is_missing:
        message = f"missing {node.type}"
    else:
        snippet = data[start : min(end, start + 40)].decode("utf-8", "replace").split("\n", 1)[0].strip()
        message = f"unexpected {snippet!r}" if snippet else "unexpected end"
    return SyntaxIssue(message, row + 1, column, start, end)


def _in_file_bytes(result: ParseResult, text: Text) -> ParseResult:
    places: list[Symbol | SyntaxIssue] = [*result.symbols, *result.syntax_errors]
    where = original_offsets(text, (at for place in places for at in (place.start_byte, place.end_byte)))

    def move(place: _Place) -> _Place:
        return replace(place, start_byte=where[place.start_byte], end_byte=where[place.end_byte])

    return replace(
        result,
        symbols=tuple(map(move, result.symbols)),
        syntax_errors=tuple(map(move, result.syntax_errors)),
    )
