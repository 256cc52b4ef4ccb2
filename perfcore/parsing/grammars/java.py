"""Java: types, methods, constructors; those of anonymous classes are qualified by the method around them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from perfcore.parsing.result import Import
from perfcore.parsing.symbols import Definition, Rules, kinds, line, named, text

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = ["RULES"]


def _enum_constant(node: Node, data: bytes, _in_type: bool) -> Iterable[Definition]:
    return (Definition(None, text(node.child_by_field_name("name"), data)),)


def _module(node: Node, data: bytes, _in_type: bool) -> Iterable[Definition]:
    return (Definition("module", text(node.child_by_field_name("name"), data)),)


def _import(node: Node, data: bytes) -> Iterator[Import]:
    children = [child for child in node.named_children if not child.type.endswith("comment")]
    if not children:
        return
    path = "".join(text(children[0], data).split())
    if children[-1].type == "asterisk":
        yield Import(path, "*", None, line(node))
    else:
        module, _, name = path.rpartition(".")
        yield Import(module or name, name if module else None, None, line(node))


RULES = Rules(
    definitions={
        "class_declaration": named("class"),
        "record_declaration": named("class"),
        "interface_declaration": named("interface"),
        "annotation_type_declaration": named("interface"),
        "enum_declaration": named("enum"),
        "method_declaration": named("method"),
        "constructor_declaration": named("method"),
        "compact_constructor_declaration": named("method"),
        "annotation_type_element_declaration": named("method"),
        "enum_constant": _enum_constant,
        "module_declaration": _module,
    },
    imports={"import_declaration": _import},
    containers=None,
    opaque=kinds(
        "identifier type_identifier scoped_identifier scoped_type_identifier generic_type integral_type "
        "floating_point_type void_type modifiers type_parameters formal_parameters string_literal "
        "line_comment block_comment decimal_integer_literal character_literal package_declaration "
        "import_declaration this super null_literal true false field_access"
    ),
)
