"""Python: functions, methods and classes as CPython's ``ast`` sees them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from unicodedata import normalize

from perfcore.parsing.result import Import, Kind
from perfcore.parsing.symbols import Definition, Rules, kinds, line, text

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = ["RULES"]


def _name(node: Node | None, data: bytes) -> str:
    name = text(node, data)
    return (
        name if name.isascii() else normalize("NFKC", name)
    )  # as the compiler does with identifiers (PEP 3131)


def _function(node: Node, data: bytes, in_type: bool) -> tuple[Definition]:
    kind: Kind = "method" if in_type else "function"
    return (Definition(kind, _name(node.child_by_field_name("name"), data)),)


def _class(node: Node, data: bytes, _in_type: bool) -> tuple[Definition]:
    return (Definition("class", _name(node.child_by_field_name("name"), data)),)


def _targets(node: Node, data: bytes) -> Iterator[tuple[str, str | None]]:
    for target in node.children_by_field_name("name"):
        if target.type == "aliased_import":
            name, alias = target.child_by_field_name("name"), target.child_by_field_name("alias")
            yield _dotted(name, data), _name(alias, data)
        else:
            yield _dotted(target, data), None


def _dotted(node: Node | None, data: bytes) -> str:
    """``a . b`` is ``a.b``: blanks and line continuations are allowed around the dots."""
    return "".join(_name(node, data).replace("\\\n", "").split())


def _import(node: Node, data: bytes) -> Iterator[Import]:
    for module, alias in _targets(node, data):
        yield Import(module, None, alias, line(node))


def _import_from(node: Node, data: bytes) -> Iterator[Import]:
    module = "__future__"
    if node.type != "future_import_statement":
        module = _dotted(node.child_by_field_name("module_name"), data)
    for name, alias in _targets(node, data):
        yield Import(module, name, alias, line(node))
    if any(child.type == "wildcard_import" for child in node.named_children):
        yield Import(module, "*", None, line(node))


# Definitions are statements, so expressions are never entered.
RULES = Rules(
    definitions={"function_definition": _function, "class_definition": _class},
    imports={
        "import_statement": _import,
        "import_from_statement": _import_from,
        "future_import_statement": _import_from,
    },
    containers=kinds(
        "module block decorated_definition function_definition class_definition if_statement elif_clause "
        "else_clause for_statement while_statement try_statement except_clause except_group_clause "
        "finally_clause with_statement match_statement case_clause"
    ),
    wrappers=frozenset({"decorated_definition"}),
)
