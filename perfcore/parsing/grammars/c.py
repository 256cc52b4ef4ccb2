"""C and C++: definitions, not declarations; a header's prototypes are declarations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from perfcore.parsing.result import Import, Kind
from perfcore.parsing.symbols import Define, Definition, Rules, kinds, line, named, text

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = ["RULES"]

_TAGS: dict[str, Kind] = {
    "struct_specifier": "struct",
    "union_specifier": "union",
    "enum_specifier": "enum",
    "class_specifier": "class",
}
_LAST_NAMES = frozenset(
    {"identifier", "field_identifier", "type_identifier", "destructor_name", "operator_name"}
)


def _declared(node: Node | None, data: bytes) -> tuple[str, str]:
    """Return ``(container, name)`` of a declarator: ``("a.B", "f")`` of ``int *(a::B<T>::f)(int)``."""
    scopes: list[str] = []
    while node is not None and node.type not in _LAST_NAMES:
        if node.type == "operator_cast":  # ``operator bool() const``: its name is its type
            return ".".join(scopes), f"operator {text(node.child_by_field_name('type'), data)}"
        scope = node.child_by_field_name("scope")
        if scope is not None:
            scopes.append(text(scope.child_by_field_name("name") or scope, data))
        node = node.child_by_field_name("declarator") or node.child_by_field_name("name") or _only_child(node)
    return ".".join(scopes), " ".join(text(node, data).split())


def _only_child(node: Node) -> Node | None:
    """Parentheses and references hold their declarator without a field, behind ``__cdecl`` and the like."""
    inner = [c for c in node.named_children if c.type.endswith(("declarator", "identifier", "_name"))]
    return inner[-1] if inner else None


def _function(node: Node, data: bytes, in_type: bool) -> Iterable[Definition]:
    container, name = _declared(node.child_by_field_name("declarator"), data)
    return (Definition("method" if in_type or container else "function", name, container),)


def _tag(kind: Kind) -> Define:
    """Return the rule of ``struct S {...}``; ``struct S`` only mentions it."""

    def define(node: Node, data: bytes, _in_type: bool) -> Iterable[Definition]:
        name = node.child_by_field_name("name")
        if name is None or node.child_by_field_name("body") is None:
            return ()
        container, last = _declared(name, data)
        return (Definition(kind, last, container),)

    return define


def _typedef(node: Node, data: bytes, _in_type: bool) -> Iterator[Definition]:
    """``typedef struct {...} T, *P``: a struct ``T``, which qualifies what is in it, and a type ``P``."""
    target = node.child_by_field_name("type")
    anonymous = target is not None and target.type in _TAGS and target.child_by_field_name("name") is None
    for position, declarator in enumerate(node.children_by_field_name("declarator")):
        names_it = anonymous and position == 0 and declarator.type == "type_identifier"
        kind: Kind = _TAGS[target.type] if names_it and target is not None else "type"
        yield Definition(kind, _declared(declarator, data)[1], opens=names_it)


def _namespace(node: Node, data: bytes, _in_type: bool) -> Iterable[Definition]:
    container, _, name = "".join(text(node.child_by_field_name("name"), data).split()).rpartition("::")
    return (Definition("module", name, container.replace("::", ".")),) if name else ()


def _include(node: Node, data: bytes) -> Iterator[Import]:
    yield Import(text(node.child_by_field_name("path"), data).strip('<>"'), None, None, line(node))


RULES = Rules(
    definitions={
        "function_definition": _function,
        **{node_type: _tag(kind) for node_type, kind in _TAGS.items()},
        "type_definition": _typedef,
        "alias_declaration": named("type"),
        "concept_definition": named("type"),
        "namespace_definition": _namespace,
        "preproc_def": named("macro"),
        "preproc_function_def": named("macro"),
    },
    imports={"preproc_include": _include},
    # Statements and declarations; a type that is defined inside an expression, such as a lambda's, is left
    # out.
    containers=kinds(
        "translation_unit preproc_if preproc_ifdef preproc_else preproc_elif preproc_elifdef "
        "linkage_specification declaration_list namespace_definition template_declaration declaration "
        "field_declaration field_declaration_list struct_specifier union_specifier class_specifier "
        "type_definition friend_declaration function_definition compound_statement if_statement else_clause "
        "for_statement while_statement do_statement switch_statement case_statement labeled_statement "
        "try_statement catch_clause for_range_loop"
    ),
    wrappers=frozenset({"template_declaration"}),
)
