"""What a hit in memory costs through a cache manager: ``python -m benchmarks.manager_hit``.

Interleaved rounds over random keys; the best round of each counts. The bar: 1.5 times a bare ``Cache.get``.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter_ns

from benchmarks.guard import ready
from perfcore.cache import Cache, CacheManager

BAR = 1.5
LOOKUPS = 200_000


@contextmanager
def contestants(entries: int) -> Iterator[dict[str, Callable[[object], object]]]:
    keys = [f"user:{number}" for number in range(entries)]
    bare: Cache[str, str] = Cache(2 * entries)
    with (
        tempfile.TemporaryDirectory() as folder,
        CacheManager({"maxsize": 2 * entries}, {"directory": folder}, warm_restart=False) as manager,
        CacheManager({"maxsize": 2 * entries}) as alone,
        CacheManager({"maxsize": 2 * entries}) as tagged,
        CacheManager({"maxsize": 2 * entries}, namespace="shop") as named,
    ):
        bare.update(zip(keys, keys, strict=True))
        for one in (manager, alone, named):
            one.set_many(zip(keys, keys, strict=True))
        tagged.set_many(zip(keys, keys, strict=True), tags=["users"])
        manager.flush()
        yield {
            "dict.get": dict(bare.items()).get,
            "Cache.get": bare.get,
            "CacheManager.get, memory alone": alone.get,
            "CacheManager.get, memory over disk": manager.get,
            "CacheManager.get, values with tags": tagged.get,
            "CacheManager.get, namespace": named.get,
        }


def measure(get: Callable[[object], object], keys: list[str]) -> float:
    begun = perf_counter_ns()
    for key in keys:
        get(key)
    return (perf_counter_ns() - begun) / len(keys)


async def measure_async(manager: CacheManager, keys: list[str]) -> float:
    begun = perf_counter_ns()
    for key in keys:
        await manager.aget(key)
    return (perf_counter_ns() - begun) / len(keys)


def below(rounds: int) -> Iterator[str]:
    """What reading from disk costs an event loop inline, and what a hop to a thread would cost beside it."""
    sizes = {"1 KB": 1 << 10, "64 KB": 1 << 16, "1 MB": 1 << 20}
    with (
        tempfile.TemporaryDirectory() as folder,
        CacheManager(None, {"directory": folder}, warm_restart=False) as manager,
    ):
        for name, size in sizes.items():
            for number in range(50):
                manager.set((name, number), random.Random(number).randbytes(size // 2) + bytes(size // 2))
        manager.flush()
        for name in sizes:
            keys = [(name, number) for number in range(50)]
            inline = min(measure(manager.get, keys) for _ in range(rounds))
            hop = min(asyncio.run(_hops(manager, keys)) for _ in range(rounds))
            yield f"{name:>8}  {inline / 1e3:8.1f} us inline  {hop / 1e3:8.1f} us in a thread"


async def _hops(manager: CacheManager, keys: list[tuple[str, int]]) -> float:
    begun = perf_counter_ns()
    for key in keys:
        await asyncio.to_thread(manager.get, key)
    return (perf_counter_ns() - begun) / len(keys)


def main() -> None:
    ready()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    for entries in (1000, 100_000):
        with contestants(entries) as gets:
            keys = random.Random(1).choices([f"user:{number}" for number in range(entries)], k=LOOKUPS)
            best = dict.fromkeys(gets, float("inf"))
            for _ in range(options.rounds):
                for name, get in gets.items():
                    best[name] = min(best[name], measure(get, keys))
        print(f"\n{entries} entries: ns per hit, and times a bare Cache.get (bar: {BAR})")
        for name, ns in best.items():
            print(f"  {name:36} {ns:7.1f} {ns / best['Cache.get']:6.2f}")
    print("\nreading from disk, per value")
    for line in below(options.rounds):
        print(line)


if __name__ == "__main__":
    main()
