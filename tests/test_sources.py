"""What a reviewer would otherwise have to look for in every file."""

import ast
import doctest
import importlib
import re
from pathlib import Path

import pytest

import perfcore

PACKAGE = Path(perfcore.__file__).parent
ROOT = PACKAGE.parent
FOLDERS = ("perfcore", "src_c", "tests", "benchmarks", "docs", ".ci")
TEXT = {".py", ".pyi", ".pyx", ".pxd", ".c", ".h", ".md", ".toml", ".scm", ".yml", ".cfg", ".sh", ""}

#: lines, from section 2 of the design, which says "about": a tenth more passes; what needs more says why here
LIMITS = {".py": 300, ".pyi": 300, ".pyx": 400, ".pxd": 400, ".c": 900, ".h": 900}
LONGER: dict[str, tuple[int, str]] = {
    "perfcore/_native/engine.pyx": (
        500,
        "a lookup is one function to the compiler only within one extension",
    ),
    "perfcore/_native/cache.pyx": (
        460,
        "the verbs of one class; what works through them stands in files of its own",
    ),
    "perfcore/_native/objects.pyx": (
        620,
        "one class with its queue; a class of Cython cannot be spread over files",
    ),
}
LONGEST_C_FUNCTION = 60


def files(*suffixes, under=FOLDERS):
    """Return the files of the tree that a person wrote, with any of ``suffixes``."""
    found = [path for folder in under for path in (ROOT / folder).rglob("*")]
    found += [path for path in ROOT.glob("*") if under is FOLDERS]
    return sorted(
        path
        for path in found
        if path.is_file()
        and path.suffix in suffixes
        and "__pycache__" not in path.parts
        and path.name not in {"py.typed", ".git"}  # .git: git writes a file there in a worktree
    )


def named(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", files(*LIMITS, under=("perfcore", "src_c")), ids=named)
def test_a_file_is_about_one_thing(path):
    limit, _ = LONGER.get(named(path), (LIMITS[path.suffix], ""))
    lines = len(path.read_text().splitlines())
    assert lines <= limit * 1.1


def test_no_file_is_excused_without_need():
    for name in LONGER:
        path = ROOT / name
        assert len(path.read_text().splitlines()) > LIMITS[path.suffix], f"{name} no longer needs an excuse"


HOME = re.compile(r"(?<![\w.])/(?:home|Users|root|work)/\w")


def test_the_rule_knows_a_private_path():
    assert HOME.search("see " + "/ho" + "me/ada/notes")
    assert not HOME.search("https://example.org/home/page or a/root/b")


@pytest.mark.parametrize("path", files(*TEXT), ids=named)
def test_no_path_of_one_persons_machine_and_no_unfinished_business(path):
    text = path.read_text()
    assert not HOME.search(text)
    assert not re.search(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b", text)


@pytest.mark.parametrize("path", files(".py", under=("perfcore",)), ids=named)
def test_every_public_name_says_what_it_is(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "the module has no docstring"
    public = next((ast.literal_eval(node.value) for node in tree.body if assigns(node, "__all__")), [])
    for node in tree.body:
        defines = isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if defines and node.name in public and "overload" not in map(ast.unparse, node.decorator_list):
            docstring = ast.get_docstring(node)
            assert docstring, f"{node.name} has no docstring"
            assert re.match(r".*?[.:;)]", docstring, re.DOTALL), f"{node.name}: the docstring has no sentence"


def assigns(node, name):
    return (
        isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name
    )


@pytest.mark.parametrize("path", files(".pyx", under=("perfcore",)), ids=named)
def test_every_public_name_of_an_extension_says_what_it_is_and_is_typed(path):
    module = importlib.import_module(f"perfcore._native.{path.stem}")
    for name in module.__all__:
        assert getattr(module, name).__doc__, f"{name} has no docstring"
    stub = ast.parse(path.with_suffix(".pyi").read_text())
    assert (
        next(ast.literal_eval(node.value) for node in stub.body if assigns(node, "__all__")) == module.__all__
    )


@pytest.mark.parametrize("path", files(".py", under=("perfcore",)), ids=named)
def test_only_the_command_line_prints(path):
    calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    prints = [node.lineno for node in calls if isinstance(node.func, ast.Name) and node.func.id == "print"]
    assert not prints or "cli" in path.parts


# --- C ------------------------------------------------------------------------------------------------------


def c_functions(source):
    """Return name and number of lines of each function; the house style closes a body in the first column."""
    pattern = r"^(?!#|typedef|struct|enum|union)[a-z][^;{}=]*?(\w+)\([^;{}]*\)\s*\{\n(.*?)^\}"
    return [
        (match[1], match[2].count("\n")) for match in re.finditer(pattern, source, re.MULTILINE | re.DOTALL)
    ]


def test_the_rule_knows_a_function():
    function = "static inline int\nadd(int a, int b) {\n    if (a) {\n    }\n    return a + b;\n}\n"
    assert c_functions(f"{function}\nstruct x {{\n  int y;\n}};\n{function}") == [("add", 3), ("add", 3)]


def c_variables(source):
    """Return the variables of a file that can change: what is declared in the first column and not const."""
    declared = (
        r"^(?!typedef|extern|return|struct \w+;)(?!.*\bconst\b)[a-z][\w *]*?(\w+)(?:\[[^\]\n]*\])*\s*(?:=|;)"
    )
    return re.findall(declared, source, re.MULTILINE)


def test_the_rule_knows_a_variable():
    assert c_variables("static int count;\nint sizes[2][3] = {0};\nstatic pc_list *head = NULL;\n") == [
        "count",
        "sizes",
        "head",
    ]
    assert not c_variables(
        "static const int n = 3;\ntypedef struct a b;\nint add(int a, int b);\n    int c;\n"
    )


@pytest.mark.parametrize("path", files(".c", ".h", under=("src_c",)), ids=named)
def test_the_core_keeps_no_state_of_its_own(path):
    assert c_variables(path.read_text()) == [] or "tests" in path.parts


@pytest.mark.parametrize("path", files(".c", ".h", under=("src_c",)), ids=named)
def test_a_c_function_fits_on_a_page_and_carries_our_name_or_is_static(path):
    source = path.read_text()
    for name, lines in c_functions(source):
        assert lines <= LONGEST_C_FUNCTION, f"{name} has {lines} lines"
    if path.suffix == ".c" and path.parent.name == "src_c":
        exported = re.findall(
            r"^(?!static|#|typedef|struct|enum|union)[a-z][\w ]*[ *](\w+)\([^;{}]*\)\s*\{", source, re.M
        )
        assert {name for name in exported if not name.startswith("pc_")} == set()


# --- examples -----------------------------------------------------------------------------------------------


def modules():
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files(".py", under=("perfcore",))
    ]
    return [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]


@pytest.mark.parametrize("name", modules())
def test_the_examples_in_docstrings_are_true(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=doctest.IGNORE_EXCEPTION_DETAIL).failed == 0
