"""Python's symbols are those that CPython's own ``ast`` sees."""

import sysconfig
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsing.cpython_ast import outline, outline_of_file

from perfcore.parsing import optimize_for_performance
from perfcore.parsing.extract import extract
from perfcore.parsing.reading import Content, content_hash

#: Files of the standard library that tree-sitter's grammar cannot read although ``ast`` can, and why.
KNOWN_DIFFERENCES = {
    "test/test_compile.py": "lines inside parentheses that are indented less than the statement",
    "test/test_future_stmt/badsyntax_future8.py": "from __future__ import *, which only the compiler refuses",
}


def parse(source: str | bytes):
    raw = source.encode() if isinstance(source, str) else source
    return extract(Content(raw, "python", content_hash(raw), None), budget=30)


def definitions(result):
    return sorted((s.kind, s.name, s.qualified_name, s.first_line, s.start_line) for s in result.symbols)


def imports(result):
    return sorted(((i.module, i.name, i.alias, i.line) for i in result.imports), key=repr)


def test_the_standard_library_has_the_symbols_and_imports_that_ast_sees():
    root = Path(sysconfig.get_path("stdlib"))
    paths = [p for p in sorted(root.rglob("*.py")) if not {"site-packages", "dist-packages"} & {*p.parts}]
    with ProcessPoolExecutor(2, get_context("spawn")) as processes:
        outlines = list(processes.map(outline_of_file, paths, chunksize=20))
    accepted = {path: seen for path, seen in zip(paths, outlines, strict=True) if seen is not None}
    different, other_imports = {}, {}
    with optimize_for_performance(enable_parse_cache=False) as parser:
        for (path, seen), result in zip(accepted.items(), parser.parse_many(accepted, jobs=2), strict=True):
            name = path.relative_to(root).as_posix()
            if definitions(result) != seen[0]:
                different[name] = KNOWN_DIFFERENCES.get(name, "unexplained")
            if imports(result) != seen[1]:
                other_imports[name] = KNOWN_DIFFERENCES.get(name, "unexplained")
    print(
        f"{len(accepted) - len(different)} of {len(accepted)} files have equal symbols, all but {different};"
    )
    print(f"{len(accepted) - len(other_imports)} have equal imports, all but {other_imports}")
    assert len(accepted) > 500
    assert len(different) <= 0.001 * len(accepted), different
    assert len(other_imports) <= 0.001 * len(accepted), other_imports


NAMES = st.sampled_from(["a", "B", "_c", "ﬁ", "ﬀ", "ªb", "名", "ñ"])  # some change under NFKC


@st.composite
def blocks(draw, depth=0):
    """Indented statements that define things wherever Python allows a statement."""
    indent = "    " * depth
    lines = []
    for _ in range(draw(st.integers(1, 3))):
        decorators = [f"{indent}@dec({n})" for n in range(draw(st.integers(0, 2)))]
        kind = draw(
            st.sampled_from(["def", "async def", "class", "if", "try", "with", "match", "for", "pass"])
        )
        name = draw(NAMES)
        body = draw(blocks(depth=depth + 1)) if depth < 3 else [f"{indent}    pass"]
        match kind:
            case "def" | "async def":
                lines += [*decorators, f"{indent}{kind} {name}(x, *a, k=lambda: 0) -> int:", *body]
            case "class":
                lines += [*decorators, f"{indent}class {name}(object, metaclass=type):", *body]
            case "if":
                lines += [f"{indent}if x:", *body, f"{indent}elif y:", *body, f"{indent}else:", *body]
            case "try":
                lines += [
                    f"{indent}try:",
                    *body,
                    f"{indent}except E as e:",
                    *body,
                    f"{indent}finally:",
                    *body,
                ]
            case "with":
                lines += [f"{indent}with f() as g:", *body]
            case "match":
                inner = ["    " + line for line in body]
                lines += [f"{indent}match x:", f"{indent}    case [1, *_]:", *inner]
            case "for":
                lines += [f"{indent}for i in y:", *body, f"{indent}else:", *body]
            case _:
                lines += [f"{indent}x = {{'a': [lambda: 1]}}  # comment"]
    return lines


@settings(max_examples=60, deadline=None)
@given(blocks(), st.sampled_from(["\n", "\r\n", "\r"]))
def test_any_nesting_of_statements_is_seen_as_ast_sees_it(lines, newline):
    source = newline.join([*lines, ""]).encode()
    assert definitions(parse(source)) == outline(source)[0]


@pytest.mark.parametrize(
    "source",
    [
        "match = case = type = 1\ndef match(case): pass\nclass type: pass\n",
        "\x0cdef f(): pass\n\x0c\nclass A:\n\x0c    def g(self): pass\n",
        "if x: pass\nelse:\n  class A: pass\n",
        "def f(): return (yield)\nclass A: x = 1; y = 2\n",
        "class A:\n    def f(self): pass\n    f = property(f)\n    def f(self): pass\n",
        "def f():\n" + "".join(f"{' ' * i}if x:\n" for i in range(1, 90)) + " " * 90 + "def deep(): pass\n",
        "\ufeffdef with_mark(): pass\n",
        "def f(): pass  # no newline at the end",
    ],
)
def test_odd_corners_of_the_language(source):
    assert definitions(parse(source)) == outline(source.lstrip("\ufeff"))[0]


def test_type_parameters_are_no_part_of_a_name():
    result = parse("class Box[T]:\n    def get[K](self) -> T: ...\ntype Alias[T] = list[T]\n")
    assert [symbol.qualified_name for symbol in result.symbols] == ["Box", "Box.get"]


def test_a_decorated_definition_starts_at_its_own_line():
    symbol, *_ = parse("@one\n@two(\n  3)\nasync def f():\n    pass\n").symbols
    assert (symbol.first_line, symbol.start_line, symbol.end_line) == (1, 4, 5)


def test_bytes_of_a_symbol_are_its_text():
    source = b"x = '\xc3\xa4'\nclass A:\n    def f(self):\n        return 1\n"
    outer, inner = parse(source).symbols
    assert source[outer.start_byte : outer.end_byte] == b"class A:\n    def f(self):\n        return 1"
    assert source[inner.start_byte : inner.end_byte] == b"def f(self):\n        return 1"


def test_broken_code_still_gives_what_is_whole_around_the_break():
    result = parse("def before(): pass\n\nx = = 1\n\ndef after(): pass\n")
    assert [symbol.name for symbol in result.symbols] == ["before", "after"]
    (issue,) = result.syntax_errors
    assert (issue.line, issue.message) == (3, "unexpected '='")
    assert result.failed and result.ok


def test_the_errors_of_one_file_are_bounded():
    assert len(parse("x = = 1\n" * 5000).syntax_errors) == 200


def test_nesting_costs_no_stack_and_no_quadratic_names():
    depth = 20_000
    raw = b"class A{m(){" * depth + b"}}" * depth
    result = extract(Content(raw, "javascript", content_hash(raw), None), budget=30)
    assert 100 < len(result.symbols) < 1000
    assert max(len(symbol.qualified_name) for symbol in result.symbols) < 600
