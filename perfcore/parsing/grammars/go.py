"""Go: functions, types, and methods qualified by the type of their receiver."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from perfcore.parsing.result import Import, Kind
from perfcore.parsing.symbols import Definition, Rules, kinds, line, named, text

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = ["RULES"]

_TYPES: dict[str, Kind] = {"struct_type": "struct", "interface_type": "interface"}
_WRAPPERS = frozenset({"pointer_type", "parenthesized_type", "generic_type", "parameter_declaration"})


def _type(node: Node, data: bytes, _in_type: bool) -> Iterable[Definition]:
    value = node.child_by_field_name("type")
    kind: Kind = _TYPES.get(value.type, "type") if value is not None else "type"
    return (Definition(kind, text(node.child_by_field_name("name"), data)),)


def _method(node: Node, data: bytes, _in_type: bool) -> Iterable[Definition]:
    receiver = _receiver(node.child_by_field_name("receiver"), data)
    return (Definition("method", text(node.child_by_field_name("name"), data), receiver),)


def _receiver(node: Node | None, data: bytes) -> str:
    """``T`` of ``(t *T[K])``."""
    if node is None:
        return ""
    node = next((child for child in node.named_children if child.type == "parameter_declaration"), None)
    while node is not None and node.type in _WRAPPERS:
        inner = node.child_by_field_name("type")
        node = inner or next((c for c in node.named_children if c.type != "comment"), None)
    return text(node, data)


def _import(node: Node, data: bytes) -> Iterator[Import]:
    path, name = node.child_by_field_name("path"), node.child_by_field_name("name")
    everything = name is not None and name.type == "dot"
    alias = None if everything or name is None else text(name, data)
    yield Import(text(path, data).strip('"`'), "*" if everything else None, alias, line(node))


RULES = Rules(
    definitions={
        "function_declaration": named("function"),
        "method_declaration": _method,
        "method_elem": named("method"),
        "type_spec": _type,
        "type_alias": _type,
    },
    imports={"import_spec": _import},
    # Inside a function only types can be named, and only by statements.
    containers=kinds(
        "source_file import_declaration import_spec_list type_declaration type_spec interface_type "
        "function_declaration method_declaration block statement_list if_statement for_statement "
        "expression_switch_statement type_switch_statement select_statement expression_case type_case "
        "default_case communication_case labeled_statement"
    ),
)
