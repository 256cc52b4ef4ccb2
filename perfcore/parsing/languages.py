"""Which language a file is in, and the loaded grammar of each language."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from pkgutil import get_data
from typing import TYPE_CHECKING, NamedTuple

from perfcore._version import __version__
from perfcore.errors import MissingExtraError
from perfcore.parsing.symbols import WalkTable

if TYPE_CHECKING:
    from tree_sitter import Language, Parser

__all__ = ["LANGUAGES", "Grammar", "detect", "detection_schema", "language_of", "load"]


class Spec(NamedTuple):
    """Where a language's grammar and rules are, and what its files are called."""

    package: str  #: the grammar wheel's module
    rules: str  #: module in :mod:`perfcore.parsing.grammars`
    suffixes: tuple[str, ...]
    factory: str = "language"
    interpreters: tuple[str, ...] = ()


LANGUAGES: Mapping[str, Spec] = {
    "python": Spec("tree_sitter_python", "python", (".py", ".pyi", ".pyw"), interpreters=("python", "pypy")),
    "javascript": Spec(
        "tree_sitter_javascript",
        "javascript",
        (".js", ".jsx", ".mjs", ".cjs"),
        interpreters=("node", "nodejs"),
    ),
    "typescript": Spec(
        "tree_sitter_typescript",
        "javascript",
        (".ts", ".mts", ".cts"),
        "language_typescript",
        ("deno", "bun", "ts-node", "tsx"),
    ),
    "tsx": Spec("tree_sitter_typescript", "javascript", (".tsx",), "language_tsx"),
    "java": Spec("tree_sitter_java", "java", (".java",)),
    "go": Spec("tree_sitter_go", "go", (".go",)),
    "rust": Spec("tree_sitter_rust", "rust", (".rs",)),
    "c": Spec("tree_sitter_c", "c", (".c",)),
    "cpp": Spec(
        "tree_sitter_cpp",
        "c",
        (".cc", ".cpp", ".cxx", ".c++", ".hh", ".hpp", ".hxx", ".h++", ".ipp", ".inl", ".cppm", ".ixx"),
    ),
}

_BY_SUFFIX = {suffix: name for name, spec in LANGUAGES.items() for suffix in spec.suffixes}
_BY_INTERPRETER = {program: name for name, spec in LANGUAGES.items() for program in spec.interpreters}
_SHEBANG = re.compile(rb"#![ \t]*(?:\S*/)?(?:env[ \t]+(?:-S[ \t]*)?(?:\w+=\S*[ \t]+)*)?([\w.+-]+)")
#: what no C header has and most C++ headers do, at the start of a line
_CPP_HEADER = re.compile(
    rb"^[ \t]*(?:class\s+\w|namespace\b|template\s*<|(?:public|private|protected)\s*:|using\s+\w"
    rb"|#[ \t]*include[ \t]*<\w+>|enum\s+class\b|constexpr\b)",
    re.MULTILINE,
)


def language_of(path: str) -> str | None:
    """Return the language that the name of ``path`` tells, or None when the content has to (see
    :func:`detect`).

    >>> language_of("src/App.tsx"), language_of("Makefile"), language_of("list.h")
    ('tsx', None, None)
    """
    suffix = _suffix(path)
    return _BY_SUFFIX.get(suffix) or ("cpp" if suffix in (".C", ".H") else _BY_SUFFIX.get(suffix.lower()))


def _suffix(path: str) -> str:
    """``PurePath(path).suffix``, which is 3 µs of the 8 that a hit takes."""
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    return name[dot:] if dot > 0 else ""


def detect(path: str, data: bytes) -> str | None:
    """Return the language of a file with the content ``data``, or None when it is none that perfcore parses.

    A ``.h`` file is C++ when it holds what C does not have; a file without a suffix is asked for its ``#!``
    line.

    >>> detect("tool", b"#!/usr/bin/env python3"), detect("a.h", b"int f(void);"), detect("a.txt", b"hi")
    ('python', 'c', None)
    """
    known = language_of(path)
    if known is not None:
        return known
    suffix = _suffix(path).lower()
    if suffix == ".h":
        return "cpp" if _CPP_HEADER.search(data) else "c"
    match = _SHEBANG.match(data) if not suffix else None
    if match is None:
        return None
    program = match[1].decode("ascii", "replace")
    return _BY_INTERPRETER.get(program) or _BY_INTERPRETER.get(program.rstrip("0123456789."))


class Grammar:
    """A loaded grammar with its walk table; get it from :func:`load`."""

    def __init__(self, name: str, language: Language, table: WalkTable, schema: str) -> None:
        self.name = name
        self.language = language
        self.table = table
        #: changes whenever the same bytes could give another result: grammar, binding, rules or records
        self.schema = schema
        self._local = threading.local()

    @property
    def parser(self) -> Parser:
        """The calling thread's parser: a tree-sitter parser must not be shared."""
        try:
            parser: Parser = self._local.parser
        except AttributeError:
            import tree_sitter

            parser = self._local.parser = tree_sitter.Parser(self.language)
        return parser


@cache
def load(name: str) -> Grammar:
    """Load the grammar of the language ``name``, once per process.

    Raises :exc:`~perfcore.errors.MissingExtraError` when its wheel is not installed and :exc:`KeyError` for a
    language that is not in :data:`LANGUAGES`.

    >>> load("go").language.name
    'go'
    """
    spec = LANGUAGES[name]
    try:
        from tree_sitter import Language

        pointer = getattr(import_module(spec.package), spec.factory)()
    except ImportError as error:
        raise MissingExtraError(error.name or spec.package, "parse") from error
    language = Language(pointer)
    rules = import_module(f"perfcore.parsing.grammars.{spec.rules}").RULES
    return Grammar(name, language, WalkTable.build(rules, language), _schema(name, spec, language))


def _schema(name: str, spec: Spec, language: Language) -> str:
    """Digest all that decides what a file's bytes turn into, so that an upgrade of any of it is a cache miss.

    The rules are taken as source text: nobody has to remember to raise a number when one changes.
    """
    digest = blake2b(digest_size=8)
    versions = (_wheel_version("tree_sitter"), _wheel_version(spec.package), str(language.abi_version))
    for part in (__version__, name, *versions):
        digest.update(part.encode() + b"\0")
    for module in ("result", "symbols", "encoding", "extract", f"grammars/{spec.rules}"):
        digest.update(_source(f"{module}.py"))
    return f"{name}-{digest.hexdigest()}"


def _wheel_version(package: str) -> str:
    """Return the version of an installed package by the name of its ``.dist-info`` directory.

    Loading :mod:`importlib.metadata` would take 40 ms, ten times as long as loading a grammar.
    """
    home = Path(import_module(package).__file__ or "").parent.parent
    for entry in home.glob(f"{package}-*.dist-info"):
        return entry.name
    from importlib.metadata import version

    return version(package)


@cache
def detection_schema() -> str:
    """Digest what decides which files are parsed at all, and as what."""
    digest = blake2b(__version__.encode(), digest_size=8)
    for module in ("languages", "reading"):
        digest.update(_source(f"{module}.py"))
    return digest.hexdigest()


def _source(name: str) -> bytes:
    try:
        return get_data("perfcore.parsing", name) or b""
    except OSError:  # shipped without sources: the version of perfcore has to do
        return b""
