"""What a call of a cached function costs, beside functools and the other caches, in one run.

    python -m benchmarks.rivals.functions [--sizes 1000,100000] [--rounds 7] [--only perfcore,functools]

Every figure is the minimum of several rounds in which all contenders take turns, divided by that of
``functools.lru_cache`` (awaited hits: of async-lru); absolute nanoseconds, the loop around the calls
included, are shown for orientation only. Keys are random ``str`` objects, equal to those of the first calls
but not the same. A miss evicts; the function itself costs the same for all, and is part of the figure.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import gc
import importlib
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.guard import ready
from benchmarks.rivals.memory.workload import fresh, names
from perfcore.compat.functools import lru_cache

Function = Callable[..., Any]
Decorate = Callable[[Function], Function]
#: name -> size -> decorator
Contenders = dict[str, Callable[[int], Decorate]]


def modern(size: int, **options: Any) -> Decorate:
    from perfcore import cached

    return cached(maxsize=size, **options)


def theine(module: Any, size: int) -> Decorate:
    """Its Memoize wants the key as a function of its own, or takes functools'."""
    return module.Memoize(size, None)


def installed(found: Contenders, rivals: dict[str, tuple[str, Callable[[Any, int], Decorate]]]) -> Contenders:
    for name, (module, make) in rivals.items():
        try:
            found[name] = functools.partial(make, importlib.import_module(module))
        except ImportError:
            print(f"{name} is not installed", file=sys.stderr)
    return found


def contenders() -> Contenders:
    """All that decorate plain functions."""
    return installed(
        {
            "functools": lambda size: functools.lru_cache(maxsize=size),
            "perfcore lru_cache": lambda size: lru_cache(maxsize=size),
            "perfcore lru_cache ttl": lambda size: lru_cache(maxsize=size, ttl=300),
            "perfcore cached": modern,
            "perfcore cached ttl": lambda size: modern(size, ttl=300),
        },
        {
            "cachetools": ("cachetools", lambda m, size: m.cached(m.LRUCache(size), info=True)),
            "cachebox": ("cachebox", lambda m, size: m.cached(m.LRUCache(size))),
            "theine": ("theine", theine),
            "moka-py": ("moka_py", lambda m, size: m.cached(maxsize=size)),
        },
    )


def async_contenders() -> Contenders:
    """All that decorate coroutine functions."""
    return installed(
        {"perfcore cached": modern, "perfcore cached ttl": lambda size: modern(size, ttl=300)},
        {
            "async-lru": ("async_lru", lambda m, size: m.alru_cache(maxsize=size)),
            "cachebox": ("cachebox", lambda m, size: m.cached(m.LRUCache(size))),
            "theine": ("theine", theine),
            "moka-py": ("moka_py", lambda m, size: m.cached(maxsize=size)),
        },
    )


# --- what is called, and the loops around it ----------------------------------------------------------------


def one(key: str) -> str:
    return key


def four(key: str, number: int, other: str, *, flag: bool) -> str:
    return key


async def awaited(key: str) -> str:
    return key


def call_one(function: Function, keys: Sequence[Any]) -> float:
    start = time.perf_counter()
    for key in keys:
        function(key)
    return time.perf_counter() - start


def call_four(function: Function, keys: Sequence[Any]) -> float:
    start = time.perf_counter()
    for key in keys:
        function(key, 2, "x", flag=True)
    return time.perf_counter() - start


def call_awaited(function: Function, keys: Sequence[Any]) -> float:
    async def loop() -> float:
        start = time.perf_counter()
        for key in keys:
            await function(key)
        return time.perf_counter() - start

    return LOOP.run_until_complete(loop())


LOOP = asyncio.new_event_loop()


class Row:
    """One line of the table: a function, the calls to make before, and those to time."""

    def __init__(self, title: str, function: Function, call: Any, first: Sequence[Any], timed: Any) -> None:
        self.title, self.function, self.call, self.first, self.timed = title, function, call, first, timed

    def prepared(self, decorate: Decorate) -> Callable[[], float]:
        function = decorate(self.function)
        self.call(function, self.first)
        return lambda: self.call(function, self.timed())


def rows(size: int, count: int) -> list[Row]:
    rng = random.Random(size)
    present = names(0, size)
    probes = fresh(rng.choices(present, k=count))
    numbers = list(range(10**6, 10**6 + size))
    number_probes = [int(str(n)) for n in rng.choices(numbers, k=count)]
    unseen = iter(range(10**6, 10**9, count))
    return [
        Row("hit, one str", one, call_one, present, lambda: probes),
        Row("hit, one int", one, call_one, numbers, lambda: number_probes),
        Row("hit, three positionals and a keyword", four, call_four, present, lambda: probes),
        Row("miss, one str", one, call_one, present, lambda: names(next(unseen), count)),
        Row(
            "miss, three positionals and a keyword",
            four,
            call_four,
            present,
            lambda: names(next(unseen), count),
        ),
    ]


def async_rows(size: int, count: int) -> list[Row]:
    present = names(0, size)
    probes = fresh(random.Random(size).choices(present, k=count))
    return [Row("awaited hit", awaited, call_awaited, present, lambda: probes)]


# --- the table ----------------------------------------------------------------------------------------------


def measure(row: Row, size: int, count: int, rounds: int, found: Contenders) -> dict[str, float]:
    """Return nanoseconds a call, by contender."""
    ready = {name: row.prepared(make(size)) for name, make in found.items()}
    best = dict.fromkeys(ready, float("inf"))
    for _ in range(rounds):
        for name, once in ready.items():
            best[name] = min(best[name], once())
    gc.collect()
    return {name: seconds / count * 1e9 for name, seconds in best.items()}


def run(row: Row, size: int, count: int, rounds: int, found: Contenders, base: str) -> None:
    best = measure(row, size, count, rounds, found)
    reference = best.get(base, min(best.values()))
    cells = "  ".join(f"{name} {ns / reference:.2f} ({ns:.0f})" for name, ns in best.items())
    print(f"{size:>9,}  {row.title:<38} {cells}", flush=True)


def chosen(found: Contenders, words: Sequence[str], base: str) -> Contenders:
    return {
        name: make
        for name, make in found.items()
        if not words or name == base or any(name.startswith(word) for word in words)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", default="1000,100000")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    ready()
    gc.disable()
    words = [word for word in options.only.split(",") if word]
    print("ratio to functools.lru_cache, awaited to async-lru; minimum of interleaved rounds (ns a call)")
    for size in map(int, options.sizes.split(",")):
        for row in rows(size, options.count):
            run(
                row,
                size,
                options.count,
                options.rounds,
                chosen(contenders(), words, "functools"),
                "functools",
            )
        for row in async_rows(size, options.count):
            found = chosen(async_contenders(), words, "async-lru")
            run(row, size, options.count, options.rounds, found, "async-lru")


if __name__ == "__main__":
    main()
