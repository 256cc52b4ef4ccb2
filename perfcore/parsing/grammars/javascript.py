"""JavaScript, TypeScript and TSX. Functions are values here, so a definition may hide in any expression."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from perfcore.parsing.result import Import, Kind
from perfcore.parsing.symbols import Define, Definition, Rules, kinds, line, named, text

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = ["RULES"]

_FUNCTIONS = frozenset({"arrow_function", "function_expression", "generator_function"})


def _unquote(node: Node | None, data: bytes) -> str:
    return text(node, data).strip("'\"`")


def _bound(kind: Kind, name_field: str, value_field: str) -> Define:
    """Return the rule of ``name = value``: named by the left side when the right side is a function or a
    class.

    An object literal on the right is no symbol, but it qualifies its methods.
    """

    def define(node: Node, data: bytes, _in_type: bool) -> Iterable[Definition]:
        value = node.child_by_field_name(value_field)
        if value is None:
            return ()
        found: Kind | None
        if value.type in _FUNCTIONS:
            found = kind
        elif value.type == "class":
            found = "class"
        elif value.type == "object":
            found = None
        else:
            return ()
        container, _, name = _path(node.child_by_field_name(name_field), data).rpartition(".")
        return (Definition(found, name, container, value),) if name else ()

    return define


def _path(node: Node | None, data: bytes) -> str:
    """``a.b.c`` of a chain of names; nothing for a target without a name, such as ``a[i]``."""
    parts: list[str] = []
    while node is not None and node.type == "member_expression":
        parts.append(text(node.child_by_field_name("property"), data))
        node = node.child_by_field_name("object")
    if node is None or not (node.type.endswith("identifier") or node.type in ("this", "string", "number")):
        return ""
    parts.append(_unquote(node, data).replace(".", "_") if node.type == "string" else text(node, data))
    return ".".join(reversed(parts))


def _default_export(node: Node, _data: bytes, _in_type: bool) -> Iterable[Definition]:
    value = node.child_by_field_name("value")
    if value is None or value.child_by_field_name("name") is not None:
        return ()
    if value.type in _FUNCTIONS:
        return (Definition("function", "default", inside=value),)
    return (Definition("class", "default", inside=value),) if value.type == "class" else ()


def _module(node: Node, data: bytes, _in_type: bool) -> Iterable[Definition]:
    """``namespace A.B {}`` is the module ``B`` in ``A``; ``declare module "a.b" {}`` is one name."""
    name = node.child_by_field_name("name")
    if name is not None and name.type == "string":
        return (Definition("module", _unquote(name, data)),)
    container, _, last = text(name, data).rpartition(".")
    return (Definition("module", last, container),)


def _import(node: Node, data: bytes) -> Iterator[Import]:
    """``import`` and ``export ... from``; an ``export`` without a source imports nothing."""
    source = node.child_by_field_name("source")
    clauses = [child for child in node.named_children if child.type in _CLAUSES]
    if clauses and clauses[0].type == "import_require_clause":  # TypeScript: import x = require("m")
        source = clauses[0].child_by_field_name("source")
    if source is None:
        return
    module, names = _unquote(source, data), list(_clause_names(clauses, data))
    if not names:
        names = [("*" if node.type == "export_statement" else None, None)]
    for name, alias in names:
        yield Import(module, name, alias, line(node))


_CLAUSES = frozenset({"import_clause", "export_clause", "import_require_clause", "namespace_export"})


def _clause_names(clauses: list[Node], data: bytes) -> Iterator[tuple[str | None, str | None]]:
    pending = clauses[::-1]
    while pending:
        node = pending.pop()
        children = node.named_children
        match node.type:
            case "import_specifier" | "export_specifier":
                alias = node.child_by_field_name("alias")
                # the grammar has no name node for ``default``: it is the first word of ``default as x``
                name = text(node.child_by_field_name("name"), data) or "default"
                yield name, text(alias, data) or None
            case "namespace_import" | "namespace_export":
                yield "*", text(children[0], data) if children else None
            case "import_require_clause":
                yield None, text(children[0], data)
            case "identifier":
                yield "default", text(node, data)
            case _:
                pending.extend(reversed(children))


def _call(node: Node, data: bytes) -> Iterator[Import]:
    """``require("m")`` and ``import("m")`` with a literal."""
    function, arguments = node.child_by_field_name("function"), node.child_by_field_name("arguments")
    if function is None or arguments is None:
        return
    if function.type != "import" and text(function, data) != "require":
        return
    values = arguments.named_children
    if len(values) == 1 and values[0].type == "string":
        yield Import(_unquote(values[0], data), None, None, line(node))


RULES = Rules(
    definitions={
        "function_declaration": named("function"),
        "generator_function_declaration": named("function"),
        "function_expression": named("function"),
        "generator_function": named("function"),
        "function_signature": named("function"),
        "method_definition": named("method"),
        "method_signature": named("method"),
        "abstract_method_signature": named("method"),
        "class_declaration": named("class"),
        "abstract_class_declaration": named("class"),
        "class": named("class"),
        "interface_declaration": named("interface"),
        "enum_declaration": named("enum"),
        "type_alias_declaration": named("type"),
        "internal_module": _module,
        "module": _module,
        "variable_declarator": _bound("function", "name", "value"),
        "assignment_expression": _bound("function", "left", "right"),
        "pair": _bound("method", "key", "value"),
        "field_definition": _bound("method", "property", "value"),
        "public_field_definition": _bound("method", "name", "value"),
        "export_statement": _default_export,
    },
    imports={"import_statement": _import, "export_statement": _import, "call_expression": _call},
    containers=None,
    opaque=kinds(
        "identifier property_identifier private_property_identifier shorthand_property_identifier "
        "type_identifier string number regex comment this super null true false undefined "
        "import_statement hash_bang_line type_annotation type_arguments type_parameters jsx_text"
    ),
    wrappers=frozenset({"export_statement"}),
)
