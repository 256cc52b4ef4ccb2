"""What is named in a docstring or an annotation exists, and is a link where the reference has it.

Sphinx knows a thing by the name under which it is documented. Here it is asked for what a name stands for, so
that ``perfcore.Cache``, ``perfcore.cache.Cache`` and the class of the extension are one. What is named and is
not in the reference (a type of the standard library, something inside) stays text; what does not exist is a
warning.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from pydoc import ErrorDuringImport, locate
from types import FunctionType
from typing import TYPE_CHECKING, Any

from sphinx.addnodes import pending_xref
from sphinx.util.nodes import make_refnode

if TYPE_CHECKING:
    from docutils.nodes import Element, document
    from sphinx.application import Sphinx
    from sphinx.domains.python import PythonDomain
    from sphinx.environment import BuildEnvironment

#: a type variable, which stands for itself, or no name but a piece of an annotation
NO_NAME = re.compile(r"(?:[\w.]+\.)?_?[A-Z][a-z]?(?:_co|_contra)?|.*[^\w.].*")
#: what is meant by names that the replacements of other packages have as well
PREFERRED = {"Cache": "perfcore.cache.Cache"}
#: of things of these kinds it is plain which they are; equal numbers and texts need not be the same thing
DISTINCT = (type, FunctionType)


def setup(app: Sphinx) -> dict[str, bool]:
    """Be asked for what Sphinx does not find by itself."""
    app.connect("doctree-read", prefer)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True}


def prefer(app: Sphinx, tree: document) -> None:
    """Let short names that are there twice mean the one that is meant."""
    for node in tree.findall(pending_xref):
        node["reftarget"] = PREFERRED.get(node.get("reftarget", ""), node.get("reftarget"))


def resolve(app: Sphinx, env: BuildEnvironment, node: Element, text: Element) -> Element | None:
    """Return a link to what is documented under another name, or the text of what only exists."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    thing = next(filter(None, map(found, names(target, node.get("py:module"), node.get("py:class")))), None)
    if thing is None:
        return text if NO_NAME.fullmatch(target) else None
    domain: PythonDomain = env.domains.python_domain
    for name, entry in domain.objects.items():
        if not entry.aliased and isinstance(thing, DISTINCT) and found(name) is thing:
            return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, text, name)
    return text


def names(target: str, module: str | None, owner: str | None) -> Iterator[str]:
    """Yield the full names that a name can be short for: in what it is written, its bases, the package."""
    yield target
    cls = found(f"{module}.{owner}") if owner else None
    yield from (f"{base.__module__}.{target}" for base in getattr(cls, "__mro__", ()))
    yield from (f"{name}.{target}" for name in sorted(sys.modules) if name.startswith(module or "perfcore"))
    yield from (f"{name}.{target}" for name in sorted(sys.modules) if name.startswith("perfcore."))


@cache
def found(name: str) -> Any:
    """Return what a dotted name stands for, None if there is no such thing."""
    try:
        return locate(name)
    except ErrorDuringImport:
        return None
