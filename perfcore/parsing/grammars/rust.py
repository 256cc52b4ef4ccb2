"""Rust: items, with the functions of an ``impl`` qualified by its type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from perfcore.parsing.result import Import
from perfcore.parsing.symbols import Definition, Rules, kinds, line, named, text

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = ["RULES"]


def _impl(node: Node, data: bytes, _in_type: bool) -> Iterable[Definition]:
    """``impl<T> Trait for a::Type<T>`` is no symbol; it opens the scope ``Type``."""
    target = node.child_by_field_name("type")
    while target is not None and target.type in ("generic_type", "scoped_type_identifier", "reference_type"):
        target = target.child_by_field_name("name") or target.child_by_field_name("type")
    return (Definition(None, "".join(text(target, data).split()), members=True),)


def _use(node: Node, data: bytes) -> Iterator[Import]:
    """``use a::{b as c, d::*}``: one import per leaf of a tree of any depth."""
    argument = node.child_by_field_name("argument")
    pending = [("", argument)] if argument is not None else []
    while pending:
        prefix, tree = pending.pop()
        path = tree.child_by_field_name("path")
        match tree.type:
            case "scoped_use_list":
                members = tree.child_by_field_name("list")
                inner = _join(prefix, text(path, data))
                pending.extend(
                    (inner, child) for child in reversed(members.named_children if members else [])
                )
            case "use_list":
                pending.extend((prefix, child) for child in reversed(tree.named_children))
            case "use_wildcard":
                inside = tree.named_children
                yield Import(_join(prefix, text(inside[0], data) if inside else ""), "*", None, line(node))
            case "use_as_clause":
                yield _leaf(
                    _join(prefix, text(path, data)), text(tree.child_by_field_name("alias"), data), node
                )
            case "line_comment" | "block_comment":
                pass
            case _:
                yield _leaf(_join(prefix, text(tree, data)), None, node)


def _join(prefix: str, path: str) -> str:
    path = "".join(path.split())
    if path == "self" and prefix:  # ``use a::{self}`` imports ``a``
        return prefix
    return f"{prefix}::{path}" if prefix and path else prefix or path


def _leaf(path: str, alias: str | None, node: Node) -> Import:
    module, _, name = path.rpartition("::")
    return Import(module or name, name if module else None, alias, line(node))


def _extern_crate(node: Node, data: bytes) -> Iterator[Import]:
    alias = text(node.child_by_field_name("alias"), data)
    yield Import(text(node.child_by_field_name("name"), data), None, alias or None, line(node))


RULES = Rules(
    definitions={
        "function_item": named("function", "method"),
        "function_signature_item": named("function", "method"),
        "struct_item": named("struct"),
        "enum_item": named("enum"),
        "union_item": named("union"),
        "trait_item": named("trait"),
        "type_item": named("type"),
        "associated_type": named("type"),
        "mod_item": named("module"),
        "macro_definition": named("macro"),
        "impl_item": _impl,
    },
    imports={"use_declaration": _use, "extern_crate_declaration": _extern_crate},
    # Items in a block are statements of it; blocks stand in many expressions, so everything else is entered.
    containers=None,
    opaque=kinds(
        "identifier type_identifier field_identifier scoped_identifier generic_type type_arguments "
        "parameters string_literal integer_literal line_comment block_comment token_tree "
        "macro_definition attribute_item visibility_modifier use_declaration type_parameters "
        "where_clause field_declaration_list"
    ),
)
