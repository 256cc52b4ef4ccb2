"""What an operation on an in-memory cache costs, beside dict and the other caches, in one run.

    python -m benchmarks.rivals.memory [--sizes 1000,100000] [--rounds 7] [--only perfcore,dict]

Every figure is the minimum of several rounds in which all contenders take turns, divided by that of ``dict``;
absolute nanoseconds are shown for orientation only. Keys are random ``str`` objects, equal to the stored
ones but not the same, unless the row says "same object".
"""

from __future__ import annotations

import argparse
import gc
import importlib
import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from perfcore._native.build import build_info
from perfcore.cache import Cache

Loop = Callable[[], None]


class Contender:
    """One cache behind three bound functions: read, write, and a name."""

    def __init__(
        self, name: str, make: Callable[[int], tuple[Callable[..., Any], Callable[[Any, Any], Any]]]
    ) -> None:
        self.name, self.make = name, make


def mapping(factory: Callable[[int], Any]) -> Callable[[int], tuple[Any, Any]]:
    """A contender with ``get`` and item assignment."""

    def make(size: int) -> tuple[Any, Any]:
        cache = factory(size)
        return cache.get, cache.__setitem__

    return make


def method(factory: Callable[[int], Any], write: str) -> Callable[[int], tuple[Any, Any]]:
    """A contender with ``get`` and a method to write."""

    def make(size: int) -> tuple[Any, Any]:
        cache = factory(size)
        return cache.get, getattr(cache, write)

    return make


def contenders(only: Sequence[str]) -> list[Contender]:
    """All that are installed."""
    found = [
        Contender("dict", mapping(lambda size: {})),
        *(
            Contender(f"perfcore {policy}", mapping(lambda size, policy=policy: Cache(size, policy=policy)))
            for policy in ("lru", "lfu", "random", "adaptive")
        ),
    ]
    rivals: list[tuple[str, str, Callable[[Any], Callable[[int], tuple[Any, Any]]]]] = [
        ("cachebox lru", "cachebox", lambda m: method(lambda size: m.LRUCache(size), "insert")),
        ("theine", "theine", lambda m: method(lambda size: m.Cache(size), "set")),
        ("moka-py", "moka_py", lambda m: method(lambda size: m.Moka(size), "set")),
        ("lru-dict", "lru", lambda m: mapping(lambda size: m.LRU(size))),
        ("cachetools lru", "cachetools", lambda m: mapping(lambda size: m.LRUCache(size))),
    ]
    for name, module, make in rivals:
        try:
            found.append(Contender(name, make(importlib.import_module(module))))
        except ImportError:
            print(f"{name} is not installed", file=sys.stderr)
    return [c for c in found if not only or any(c.name.startswith(word) for word in only)]


def timed(loop: Loop) -> float:
    start = time.perf_counter()
    loop()
    return time.perf_counter() - start


def reading(get: Callable[..., Any], keys: Iterable[str]) -> Loop:
    def loop() -> None:
        for key in keys:
            get(key)

    return loop


def writing(write: Callable[[Any, Any], Any], keys: Iterable[str]) -> Loop:
    def loop() -> None:
        for key in keys:
            write(key, None)

    return loop


def mixing(get: Callable[..., Any], write: Callable[[Any, Any], Any], keys: Iterable[int]) -> Loop:
    def loop() -> None:
        for key in keys:
            if get(key) is None:
                write(key, key)

    return loop


def fresh(keys: Iterable[str]) -> list[str]:
    """Equal keys that are other objects."""
    return ["".join(list(key)) for key in keys]


def names(start: int, count: int) -> list[str]:
    return [f"user:{i:09d}" for i in range(start, start + count)]


def zipf(size: int, requests: int, seed: int) -> list[int]:
    """Ids with a Zipf law whose hottest ``size`` take about 90 % of the requests."""
    import numpy as np

    universe = size * 12
    weights = 1.0 / np.arange(1, universe + 1) ** 1.0
    low, high = 0.5, 2.0
    for _ in range(40):
        exponent = (low + high) / 2
        weights = 1.0 / np.arange(1, universe + 1) ** exponent
        low, high = (exponent, high) if weights[:size].sum() / weights.sum() < 0.9 else (low, exponent)
    ids = np.random.default_rng(seed).choice(universe, requests, p=weights / weights.sum())
    return [int(i) for i in ids]


def workloads(size: int, count: int) -> dict[str, Callable[[Contender], list[Loop]]]:
    """For each row of the table: a contender's loops, to be timed once each, in turn with the others'."""
    rng = random.Random(size)
    present = names(0, size)
    probes = fresh(rng.choices(present, k=count))
    same = rng.choices(present, k=count)
    absent = fresh(rng.choices(names(10**8, size), k=count))
    trace = zipf(size, count, size)

    def filled(contender: Contender) -> tuple[Any, Any]:
        get, write = contender.make(size)
        for key in present:
            write(key, key)
        return get, write

    def evicting(contender: Contender) -> Loop:
        _, write = filled(contender)
        return writing(write, names(size, count))

    def warm_mix(contender: Contender) -> Loop:
        get, write = contender.make(size)
        mixing(get, write, zipf(size, max(count, 3 * size), size + 1))()
        return mixing(get, write, trace)

    return {
        "hit": lambda c: [reading(filled(c)[0], probes)],
        "hit, same object": lambda c: [reading(filled(c)[0], same)],
        "miss": lambda c: [reading(filled(c)[0], absent)],
        "insert": lambda c: [writing(c.make(count)[1], names(0, count))],
        "evicting insert": lambda c: [evicting(c)],
        "zipf mix": lambda c: [warm_mix(c)],
    }


def rounds_of(
    contender: Contender, build: Callable[[Contender], list[Loop]], repeatable: bool
) -> Callable[[], float]:
    """A function that times one round; rows that change the cache rebuild it each time."""
    if not repeatable:
        return lambda: timed(build(contender)[0])
    (loop,) = build(contender)
    return lambda: timed(loop)


def run(size: int, count: int, rounds: int, rivals: list[Contender]) -> None:
    for row, build in workloads(size, count).items():
        rounds_by = {c.name: rounds_of(c, build, row.startswith(("hit", "miss"))) for c in rivals}
        best = dict.fromkeys(rounds_by, float("inf"))
        for _ in range(rounds):
            for name, once in rounds_by.items():
                best[name] = min(best[name], once())
        base = best.get("dict", min(best.values()))
        cells = "  ".join(f"{name} {best[name] / base:.2f} ({best[name] / count * 1e9:.0f})" for name in best)
        print(f"{size:>9,}  {row:<17} {cells}", flush=True)
        gc.collect()


def batches(size: int, count: int, rounds: int) -> None:
    """``get_many`` of 64 keys against a loop of ``dict.get``."""
    present = names(0, size)
    reference = dict(zip(present, present, strict=True))
    probes = fresh(random.Random(1).choices(present, k=count))
    groups = [probes[i : i + 64] for i in range(0, count, 64)]
    caches = {policy: Cache(size, policy=policy) for policy in ("lru", "adaptive")}
    for cache in caches.values():
        cache.update(reference)

    def plain() -> None:
        get = reference.get
        for group in groups:
            [get(key) for key in group]

    def many(cache: Cache[str, str]) -> Loop:
        def loop() -> None:
            for group in groups:
                cache.get_many(group)

        return loop

    loops = {"dict": plain, **{name: many(cache) for name, cache in caches.items()}}
    best = dict.fromkeys(loops, float("inf"))
    for _ in range(rounds):
        for name, loop in loops.items():
            best[name] = min(best[name], timed(loop))
    cells = "  ".join(f"{name} {seconds / best['dict']:.2f}" for name, seconds in best.items())
    print(f"{size:>9,}  {'get_many of 64':<17} {cells}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", default="1000,100000,1000000")
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    if not build_info()["optimized"]:
        raise SystemExit("this build is not optimised; its figures would mean nothing")
    gc.disable()
    print("ratio to dict, minimum of interleaved rounds (ns an operation)")
    for size in map(int, options.sizes.split(",")):
        run(size, options.count, options.rounds, contenders([w for w in options.only.split(",") if w]))
        batches(size, options.count, options.rounds)


if __name__ == "__main__":
    main()
