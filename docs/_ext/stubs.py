"""The directive ``native``: a class of an extension, with its docstrings and the signatures of its stub.

The extensions have docstrings and no signatures, for a method descriptor is twice as quick to call as a
function that has one; the stubs have signatures, of each overload, and no docstrings. Autodoc can read the
one or the other.

    .. native:: perfcore.cache.Cache

documents a class with all that its stubs list, in their order, and

    .. native:: perfcore.cache.CacheManager.get

one method, inside the class that has it from a native base.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from pydoc import locate
from textwrap import indent
from typing import TYPE_CHECKING, Any, ClassVar

from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from docutils.nodes import Node
    from sphinx.application import Sphinx

Function = ast.FunctionDef | ast.AsyncFunctionDef
#: the functions of a stub by their qualified names: several where they are overloaded
Stub = dict[str, list[Function]]


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("native", Native)
    return {"parallel_read_safe": True}


class Native(SphinxDirective):
    """A native class; with ``:of:`` one under the name of its Python subclass."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {"of": directives.unchanged}

    def run(self) -> list[Node]:
        """Return what the written-out form of the directive is parsed to."""
        name = self.arguments[0]
        thing = locate(self.options.get("of", name))
        if isinstance(thing, type):
            lines = class_lines(name, thing, "\n".join(self.content))
        else:
            owner, _, method = name.rpartition(".")
            cls = locate(owner)
            assert isinstance(cls, type), f"there is no {owner}"
            lines = member_lines(cls, method)
        return self.parse_text_to_nodes("\n".join(lines))


def class_lines(name: str, cls: type, more: str) -> list[str]:
    """Return a class as directives of Sphinx' Python domain; ``more`` comes after its own text."""
    module, _, short = name.rpartition(".")
    constructors = functions(cls, "__init__") or functions(cls, "__new__")
    head = [written(short, each, bound=True).removesuffix(" -> None") for each in constructors] or [short]
    options = [f":module: {module}", f":canonical: {cls.__module__}.{cls.__name__}"]
    body = [*options, "", without_signature(cls), "", more, ""]
    body += [line for member in members(cls) for line in member_lines(cls, member)]
    return directive("class", head, body)


def member_lines(cls: type, name: str) -> list[str]:
    """Return a method or a property as a directive."""
    found = functions(cls, name)
    text = ["", inspect.getdoc(getattr(cls, name)) or "", ""]
    marks = {ast.unparse(each) for each in found[0].decorator_list}
    if "property" in marks:
        assert found[0].returns is not None
        return directive("property", [name], [f":type: {ast.unparse(found[0].returns)}", *text])
    static = "staticmethod" in marks
    kinds = [f":{kind}:" for kind in ("staticmethod", "classmethod") if kind in marks]
    kinds += [":async:"] * isinstance(found[0], ast.AsyncFunctionDef)
    return directive("method", [written(name, each, bound=not static) for each in found], [*kinds, *text])


def directive(kind: str, heads: list[str], body: list[str]) -> list[str]:
    """Return a directive of the Python domain as text: one head a line, and the body below it."""
    first = f".. py:{kind}:: "
    column = "\n" + " " * len(first)
    return [first + column.join(heads), indent("\n".join(body), "   "), ""]


def members(cls: type) -> list[str]:
    """Return the public names of a class in the order of its stubs, its own before those of its bases."""
    names = (name for _, part in bodies(cls) for name in part if not name.startswith("_"))
    return list(dict.fromkeys(names))


def functions(cls: type, name: str) -> list[Function]:
    """Return the definitions that the stubs of a class and its bases have of a name."""
    return next((part[name] for _, part in bodies(cls) if name in part), [])


def bodies(cls: type) -> Iterator[tuple[type, Stub]]:
    """Yield the class and its bases with what their stubs define, of those that have one."""
    for base in cls.__mro__:
        prefix = f"{base.__name__}."
        part = {n.removeprefix(prefix): f for n, f in stub(base.__module__).items() if n.startswith(prefix)}
        if part:
            yield base, part


def without_signature(cls: type) -> str:
    """Return a class's docstring without the signature, over however many lines, with which it begins."""
    return re.sub(rf"\A{cls.__name__}\(.*?\n\n", "", inspect.getdoc(cls) or "", flags=re.DOTALL)


@cache
def stub(module: str) -> Stub:
    """Return the functions of the stub beside a module by their qualified names; none without a stub."""
    path = Path(getattr(sys.modules.get(module), "__file__", None) or "missing")
    name = path.stem if path.suffix == ".py" else module.rpartition(".")[2]  # native ones are in one file
    file = path.with_name(f"{name}.pyi")
    if not file.exists():
        return {}
    tree = ast.parse(file.read_text())
    shown = Shown(meanings(tree, module))
    named: Stub = {}
    for each in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for node in each.body:
            if isinstance(node, Function):
                named.setdefault(f"{each.name}.{node.name}", []).append(shown.visit(node))
    return named


def meanings(tree: ast.Module, module: str) -> dict[str, ast.expr]:
    """Return what the names of a stub stand for: what an alias is short for, and where a class comes from."""
    known: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            known[node.target.id] = node.value
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            known[node.name] = dotted(f"{module}.{node.name}")
        elif isinstance(node, ast.ImportFrom):
            known |= {each.name: dotted(f"{node.module}.{each.name}") for each in node.names}
        elif isinstance(node, ast.Import):
            known |= {each.asname: dotted(each.name) for each in node.names if each.asname}
    return known


def dotted(name: str) -> ast.expr:
    """Return a dotted name as an expression."""
    return ast.parse(name, mode="eval").body


class Shown(ast.NodeTransformer):
    """Puts in the place of names what they stand for, and ``K`` for a type variable ``_K``."""

    def __init__(self, known: dict[str, ast.expr]) -> None:
        self._known = known

    def visit_Name(self, node: ast.Name) -> Any:
        """Return what is written for a name."""
        meant = self._known.get(node.id)
        if meant is None:
            return ast.Name(node.id.removeprefix("_").removesuffix("_co"))
        return meant if isinstance(meant, ast.Attribute) else self.visit(meant)


def written(name: str, function: Function, *, bound: bool) -> str:
    """Return a signature, without ``self`` and without parameters that begin with an underscore."""
    given = function.args
    first = next(iter([*given.posonlyargs, *given.args]), None) if bound else None
    positional, either = ([a for a in args if a is not first] for args in (given.posonlyargs, given.args))
    pairs = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    named = [(arg, default) for arg, default in pairs if not arg.arg.startswith("_")]
    rest = ([arg for arg, _ in named], [default for _, default in named], given.kwarg, given.defaults)
    text = ast.unparse(ast.arguments(positional, either, given.vararg, *rest))
    return f"{name}({text})" + (f" -> {ast.unparse(function.returns)}" if function.returns else "")
