"""Symbols and imports of a syntax tree: one pruned walk, driven by a table of rules per grammar.

Measured over CPython's standard library (7.5 M nodes), in the share of the parse itself: a tree-sitter query
33 %, a cursor over every node 35 %, this walk 8 %. It asks only for the children of nodes that can hold a
definition, and a tree is mostly expressions that cannot. It keeps its own stack, so no input is too deep for
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from perfcore.parsing.result import Import, Kind, Symbol

if TYPE_CHECKING:
    from tree_sitter import Language, Node

__all__ = ["Definition", "Rules", "WalkTable", "kinds", "line", "named", "text", "walk"]

TYPES = frozenset({"class", "interface", "struct", "union", "enum", "trait"})

#: Definitions inside a scope whose qualified name is longer are left out: machine-made nesting would
#: otherwise cost the square of the file in names.
MAX_QUALIFIER = 512


class Definition(Struct, frozen=True, gc=False):
    """What a node defines."""

    kind: Kind | None  #: None: only a scope that qualifies what is inside, such as a Rust ``impl``
    name: str
    container: str = ""  #: a qualifier written in the source: Go's receiver, C++'s ``A::``
    inside: Node | None = None  #: where to look for more definitions, if not in the node itself
    opens: bool = True  #: whether it qualifies the definitions inside
    members: bool = False  #: whether functions inside are methods, where the kind does not say so


Define = Callable[["Node", bytes, bool], Iterable[Definition]]
Collect = Callable[["Node", bytes], Iterable[Import]]


class Rules(NamedTuple):
    """How one grammar spells definitions and imports; node types are the grammar's own."""

    definitions: Mapping[str, Define]
    imports: Mapping[str, Collect]
    #: nodes whose children are looked at; None means all named nodes but ``opaque``
    containers: frozenset[str] | None
    opaque: frozenset[str] = frozenset()
    #: nodes whose first line is that of the definition in them: decorators, ``template <...>``, ``export``
    wrappers: frozenset[str] = frozenset()


class Role(NamedTuple):
    """What the walk does at one type of node."""

    define: Define | None
    collect: Collect | None
    descend: bool


class WalkTable(NamedTuple):
    """:class:`Rules` by the numbers that a loaded grammar gives its node types."""

    roles: dict[int, Role]
    wrappers: frozenset[int]

    @classmethod
    def build(cls, rules: Rules, language: Language) -> WalkTable:
        """Look up every node type of ``rules`` in ``language``; types that it lacks are ignored."""
        every = range(language.node_kind_count)
        named_kinds = {language.node_kind_for_id(i) or "" for i in every if language.node_kind_is_named(i)}
        containers = named_kinds - rules.opaque if rules.containers is None else rules.containers
        roles = {
            _number(language, name): Role(
                rules.definitions.get(name), rules.imports.get(name), name in containers
            )
            for name in {*containers, *rules.definitions, *rules.imports} & named_kinds
        }
        roles[_number(language, "ERROR")] = Role(None, None, True)
        return cls(roles, frozenset(_number(language, name) for name in rules.wrappers & named_kinds))


def _number(language: Language, name: str) -> int:
    number = language.id_for_node_kind(name, True)
    assert number is not None, name
    return number


def kinds(names: str) -> frozenset[str]:
    """Return the node types that ``names`` lists, divided by blanks."""
    return frozenset(names.split())


def text(node: Node | None, data: bytes) -> str:
    """Return the source text of ``node``; bytes that are no UTF-8 become U+FFFD."""
    return data[node.start_byte : node.end_byte].decode("utf-8", "replace") if node is not None else ""


def line(node: Node) -> int:
    """Return the 1-based line on which ``node`` starts."""
    return node.start_point[0] + 1


def named(kind: Kind, member: Kind | None = None) -> Define:
    """Return the rule of a node with its name in the field ``name``; ``member`` is its kind inside a type."""
    inner = member or kind

    def define(node: Node, data: bytes, in_type: bool) -> Iterable[Definition]:
        return (Definition(inner if in_type else kind, text(node.child_by_field_name("name"), data)),)

    return define


def walk(root: Node, data: bytes, table: WalkTable) -> tuple[tuple[Symbol, ...], tuple[Import, ...]]:
    """Return the symbols and imports below ``root``, each in the order of the file."""
    roles, wrappers = table
    symbols: list[Symbol] = []
    imports: list[tuple[int, Import]] = []
    stack = [(root, "", False)]
    while stack:
        node, prefix, in_type = stack.pop()
        first_line = line(node) if node.kind_id in wrappers else None
        for child in node.named_children:
            role = roles.get(child.kind_id)
            if role is None:
                continue
            define, collect, descend = role
            if collect is not None:
                imports.extend((child.start_byte, found) for found in collect(child, data))
            inside, scope, member = child, prefix, in_type
            if define is not None:
                for found in define(child, data, in_type):
                    name = f"{found.container}.{found.name}" if found.container else found.name
                    qualified = f"{prefix}.{name}" if prefix and name else prefix or name
                    if found.kind is not None and found.name:
                        symbols.append(_symbol(found.kind, found.name, qualified, child, first_line))
                    if found.opens:
                        inside, scope = found.inside or child, qualified
                        member = found.members or found.kind in TYPES
            if descend and len(scope) <= MAX_QUALIFIER:
                stack.append((inside, scope, member))
    symbols.sort(key=attrgetter("start_byte"))
    imports.sort(key=itemgetter(0))
    return tuple(symbols), tuple(imported for _, imported in imports)


def _symbol(kind: Kind, name: str, qualified: str, node: Node, first_line: int | None) -> Symbol:
    start, end = node.start_point[0] + 1, node.end_point[0] + 1
    return Symbol(kind, name, qualified, first_line or start, start, end, node.start_byte, node.end_byte)
