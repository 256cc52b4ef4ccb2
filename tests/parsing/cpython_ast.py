"""What CPython's ``ast`` sees in a source file: the oracle of the Python symbols. Run by worker processes."""

import ast
import gc
import warnings
from pathlib import Path

STATEMENT_FIELDS = ("body", "handlers", "orelse", "finalbody", "cases")


def outline(source: bytes | str):
    """Return ``(definitions, imports)``.

    A definition is ``(kind, name, qualified name, first line, line)``, an import ``(module, name, alias,
    line)``.
    """
    definitions, imports = [], []

    def visit(node, prefix, in_class):
        for field in STATEMENT_FIELDS:
            for child in getattr(node, field, ()):
                if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    kind = (
                        "class" if isinstance(child, ast.ClassDef) else "method" if in_class else "function"
                    )
                    name = f"{prefix}.{child.name}" if prefix else child.name
                    first = min((d.lineno for d in child.decorator_list), default=child.lineno)
                    definitions.append((kind, child.name, name, first, child.lineno))
                    visit(child, name, kind == "class")
                elif isinstance(child, ast.Import):
                    imports.extend((name.name, None, name.asname, child.lineno) for name in child.names)
                elif isinstance(child, ast.ImportFrom):
                    module = "." * child.level + (child.module or "")
                    imports.extend((module, name.name, name.asname, child.lineno) for name in child.names)
                else:
                    visit(child, prefix, in_class)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        visit(ast.parse(source), "", False)
    return sorted(definitions), sorted(imports, key=repr)


def outline_of_file(path: Path):
    """Return :func:`outline` of the file, or None when ``ast`` does not accept it."""
    gc.disable()  # a syntax tree is all new objects; collecting among them takes half of the time
    try:
        return outline(path.read_bytes())
    except (SyntaxError, ValueError):  # files made to be broken
        return None
