"""dict, perfcore's policies, and the other caches: how each is made, read and written."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from types import ModuleType
from typing import Any

from perfcore import Cache

POLICIES = ("lru", "lfu", "random", "adaptive")


@dataclass(frozen=True)
class Contender:
    """A cache of ``make(size)`` entries; ``get`` reads, and what its documentation shows first stores: the
    statement ``cache[key] = value``, or the method ``write`` where there is no such statement."""

    name: str
    make: Callable[[int], Any]
    write: str = "__setitem__"
    package: str = ""
    #: its ``get`` returns (value, found) and not the value
    pairs: bool = False
    #: its ``get`` stores what was not there: it has no part in what only reads, or only writes
    stores: bool = False

    @property
    def by_statement(self) -> bool:
        return self.write == "__setitem__"

    def bound(self, size: int) -> tuple[Callable[..., Any], Callable[[Any, Any], Any]]:
        """Return ``get`` and the writing method of a new cache."""
        cache = self.make(size)
        return cache.get, getattr(cache, self.write)


FUNCTOOLS = "functools.lru_cache"


def functools_cache(size: int) -> Callable[[Any], Any]:
    """Return functools' way: a function that is called, and returns what it was given."""

    @functools.lru_cache(maxsize=size)
    def same(key: Any) -> Any:
        return key

    return same


class Memo:
    """functools' way as a cache: its ``get`` is the function."""

    def __init__(self, size: int) -> None:
        self.get = functools_cache(size)

    def set(self, key: Any, _: Any) -> None:
        self.get(key)


MEMO = Contender(FUNCTOOLS, Memo, "set", stores=True)


def policy(name: str) -> Contender:
    return Contender(f"perfcore {name}", lambda size: Cache(size, policy=name))  # type: ignore[arg-type]


OURS = [Contender("dict", lambda size: {}), *map(policy, POLICIES)]

#: package, module, and the contender that the module gives
RIVALS: list[tuple[str, str, Callable[[ModuleType], Contender]]] = [
    (
        "cachebox",
        "cachebox",
        lambda m: Contender("cachebox lru", lambda n: m.LRUCache(n), package="cachebox"),
    ),
    ("theine", "theine", lambda m: Contender("theine", lambda n: m.Cache(n), "set", "theine", pairs=True)),
    ("moka-py", "moka_py", lambda m: Contender("moka-py", lambda n: m.Moka(n), "set", "moka-py")),
    ("lru-dict", "lru", lambda m: Contender("lru-dict", lambda n: m.LRU(n), package="lru-dict")),
    (
        "cachetools",
        "cachetools",
        lambda m: Contender("cachetools lru", lambda n: m.LRUCache(n), package="cachetools"),
    ),
]


def named_module(name: str) -> ModuleType | None:
    """Return the module of a rival, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def one(name: str) -> Contender | None:
    """Return the contender of this name, or of the package of this name, and import no other package."""
    if found := next((c for c in OURS if c.name == name), None):
        return found
    for package, module, contender in RIVALS:
        if package in (name, name.partition(" ")[0]) and (there := named_module(module)):
            return contender(there)
    return None


def contenders(only: Sequence[str] = ()) -> list[Contender]:
    """Return all that are installed, or those whose names begin with one of ``only``."""
    found = list(OURS)
    for package, module, contender in RIVALS:
        if there := named_module(module):
            found.append(contender(there))
        else:
            print(f"{package} is not installed: pip install 'perfcore[bench]'", file=sys.stderr)
    return [c for c in found if not only or any(c.name.startswith(word) for word in only)]


def versions(found: Sequence[Contender]) -> str:
    return ", ".join(f"{c.package} {version(c.package)}" for c in found if c.package) or "no rivals"
