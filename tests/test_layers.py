"""The house of the design stands: a room knows only the floors below it, and facades are honest."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import perfcore

PACKAGE = Path(perfcore.__file__).parent
SRC_C = PACKAGE.parent / "src_c"

#: room -> floor; a new room is written down here
FLOORS = {
    **dict.fromkeys(
        ["_lazy", "_log", "_repr", "_version", "cgroups", "errors", "keys", "sizing", "types", "units"], 1
    ),
    **dict.fromkeys(["_native", "config"], 2),
    **dict.fromkeys(["metrics", "simulation"], 3),
    **dict.fromkeys(["cache", "io", "memory", "monitor", "workers"], 4),
    **dict.fromkeys(["parsing", "scaling"], 5),
    **dict.fromkeys(
        [
            "assembly",
            "cli",
            "compat",
            "doctor",
            "fastpath",
            "integrations",
            "manager",
            "meetings",
            "optimizing",
            "parts",
            "precompile",
            "reload",
            "serving",
            "status",
            "stopping",
            "testing",
            "working",
        ],
        6,
    ),
    **dict.fromkeys(["", "__main__"], 7),  # "" is the package itself, the facade of all rooms
}
#: where rooms of one floor may know each other
SOCIABLE = {1, 6, 7}


def room_of(module):
    """Return the room of a dotted module name, or None when it is not ours."""
    first, _, rest = f"{module}.".partition(".")
    return rest.partition(".")[0] if first == "perfcore" else None


def violations(module, imported):
    """Return the modules of ``imported`` that ``module`` must not know."""
    floor = FLOORS[room_of(module)]
    return [
        other
        for other in imported
        if (room := room_of(other)) is not None
        and room != room_of(module)
        and not (FLOORS[room] < floor or (FLOORS[room] == floor and floor in SOCIABLE))
    ]


# --- what a file imports ------------------------------------------------------------------------------------


def python_imports(source, module, is_package=False):
    """Return every module that Python code imports, anywhere and for whatever purpose, as dotted names."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += from_import(node, module.split(".")[: None if is_package else -1])
        elif isinstance(node, ast.Call):
            found += called_imports(node)
    return found


def from_import(node, package):
    base = [*package[: len(package) + 1 - node.level], node.module] if node.level else [node.module]
    origin = ".".join(filter(None, base))
    if origin != "perfcore":
        return [origin]
    # "from perfcore import cache" is about the room; a name that is no room's comes from the facade of all
    return [f"perfcore.{alias.name}" if alias.name in FLOORS else "perfcore" for alias in node.names]


def called_imports(node):
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if name == "lazy" and len(node.args) == 2:
        return list(ast.literal_eval(node.args[1]))
    if name in {"import_module", "__import__"}:
        return [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
    return []


def cython_imports(source):
    """Return every module that Cython code imports or cimports."""
    from_ = re.findall(r"^\s*from\s+([\w.]+)\s+c?import\b", source, re.MULTILINE)
    plain = re.findall(r"^\s*c?import\s+([\w.]+)", source, re.MULTILINE)
    return from_ + plain


def module_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources():
    return sorted(path for kind in ("py", "pyi", "pyx", "pxd") for path in PACKAGE.rglob(f"*.{kind}"))


def imports_of(path):
    source = path.read_text()
    if path.suffix in {".pyx", ".pxd"}:
        return cython_imports(source)
    return python_imports(source, module_of(path), is_package=path.name == "__init__.py")


# --- the rules ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downwards(path):
    assert violations(module_of(path), imports_of(path)) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("perfcore.units", "from perfcore.config import load"),
        ("perfcore.config.loading", "from perfcore._native.cache import Cache"),
        ("perfcore.cache.disk", "from perfcore.parsing import parser"),
        ("perfcore.cache.disk", "from ..monitor import collectors"),
        ("perfcore.cache.disk", "from .. import monitor"),
        ("perfcore.cache.disk", "def get():\n    import perfcore.workers.pool"),
        ("perfcore.cache.disk", "if TYPE_CHECKING:\n    from perfcore.manager import PerformanceManager"),
        ("perfcore.cache.disk", "importlib.import_module('perfcore.memory')"),
        ("perfcore.cache.disk", "from perfcore import PerformanceConfig"),
        ("perfcore.cache.disk", "lazy(__name__, {'perfcore.scaling': ['AutoScaler']})"),
        ("perfcore.parsing.parser", "import perfcore.scaling"),
        ("perfcore.manager", "import perfcore"),
    ],
)
def test_the_rule_sees_every_way_to_import_upwards_or_sideways(module, source):
    assert len(violations(module, python_imports(source, module))) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "perfcore.cache.disk",
            "from perfcore.types import Store\nfrom . import codec\nfrom .codec import decode",
        ),
        (
            "perfcore.cache.disk",
            "from perfcore._native.cache import Cache\nimport os.path\nimport perfcorelike",
        ),
        ("perfcore.cli.app", "from perfcore.manager import PerformanceManager\nfrom perfcore import parsing"),
        ("perfcore.manager", "from ._version import __version__"),
    ],
)
def test_the_rule_lets_downward_imports_be(module, source):
    assert violations(module, python_imports(source, module)) == []


def test_the_rule_reads_cython():
    source = (
        "from perfcore.cache.disk cimport x\ncimport perfcore.manager\nfrom libc.stdint cimport uint32_t\n"
    )
    assert len(violations("perfcore._native.cache", cython_imports(source))) == 2


def test_every_room_has_a_floor():
    rooms = {room_of(module_of(path)) for path in sources()}
    assert rooms <= FLOORS.keys()


# --- the core -----------------------------------------------------------------------------------------------

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:<([^>]+)>|"([^"]+)")', re.MULTILINE)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
#: C11's own headers, and the few of POSIX that the core may need
STANDARD = {
    *("assert.h", "errno.h", "inttypes.h", "limits.h", "math.h", "stdalign.h", "stdarg.h", "stdatomic.h"),
    *("stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "stdnoreturn.h", "string.h", "time.h"),
    *("pthread.h", "sched.h", "sys/mman.h", "sys/types.h", "unistd.h"),
}


def includes(path):
    """Return the system headers and the own headers that a C file includes."""
    found = INCLUDE.findall(COMMENT.sub("", path.read_text()))
    return {system for system, _ in found if system}, {own for _, own in found if own}


def guarded(path):
    """Return the headers that are included only where the preceding line says that the machine has them."""
    return set(
        re.findall(
            r"^#if.*__\w+__.*\n#\s*include <(\w+\.h)>\n#\s*(?:endif|else|elif)",
            path.read_text(),
            re.MULTILINE,
        )
    )


@pytest.mark.parametrize("path", sorted(SRC_C.glob("*.[ch]")), ids=lambda path: path.name)
def test_the_core_is_plain_c_that_knows_no_python(path):
    system, own = includes(path)
    assert system <= STANDARD | guarded(path)
    assert {name for name in own if not (SRC_C / name).is_file()} == set()
    code = COMMENT.sub("", path.read_text())
    assert not re.search(r"\b(PyObject|Py_\w+|PyMem_\w+)\b", code)


def test_the_headers_of_the_core_include_each_other_in_one_direction():
    below = {path.name: includes(path)[1] for path in SRC_C.glob("*.h")}
    while leaves := [name for name, needed in below.items() if not needed & below.keys()]:
        for name in leaves:
            del below[name]
    assert below == {}  # what is left includes itself in a circle


def test_there_is_a_core_to_look_at():
    assert list(SRC_C.glob("*.c"))


# --- lazy facades -------------------------------------------------------------------------------------------


def facades():
    return [path for path in PACKAGE.rglob("__init__.py") if "lazy(" in path.read_text()]


def facade(source):
    """Return what a facade says: its table, its imports for type checkers, and ``__all__``."""
    table, typed, public = {}, {}, []
    for node in ast.parse(source).body:
        if isinstance(node, ast.If):
            for child in node.body:
                typed.setdefault(child.module, []).extend(alias.name for alias in child.names)
        elif isinstance(node, ast.Assign) and node.targets[0].__class__ is ast.Tuple:
            table = ast.literal_eval(node.value.args[1])
        elif isinstance(node, ast.Assign) and node.targets[0].id == "__all__":
            public = ast.literal_eval(node.value)
    return table, typed, public


@pytest.mark.parametrize("path", facades(), ids=lambda path: str(path.parent.relative_to(PACKAGE.parent)))
def test_a_facade_tells_type_checkers_what_it_tells_the_interpreter(path):
    table, typed, public = facade(path.read_text())
    assert table
    assert {module: sorted(names) for module, names in table.items()} == {
        module: sorted(names) for module, names in typed.items()
    }
    listed = {name for names in table.values() for name in names}
    assert set(public) - {"__version__"} == listed
    assert len(public) == len(set(public))


@pytest.mark.parametrize("path", facades(), ids=lambda path: str(path.parent.relative_to(PACKAGE.parent)))
def test_every_public_name_of_a_facade_loads_in_a_fresh_interpreter(path):
    package = module_of(path)
    script = f"import {package} as p\nassert {{*p.__all__}} <= {{*dir(p)}}\nfor x in p.__all__: getattr(p, x)"
    done = subprocess.run([sys.executable, "-c", script], cwd=PACKAGE.parent, capture_output=True, text=True)
    assert done.stderr == ""


def test_an_unknown_name_of_a_facade_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'perfcore' has no attribute 'Cach'"):
        perfcore.Cach  # noqa: B018
