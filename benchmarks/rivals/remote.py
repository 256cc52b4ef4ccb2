"""What a lookup on a server costs, beside the bare client and two other libraries, in one run on one server.

    python -m benchmarks.rivals.remote [--rounds 7] [--seconds 4]

Values are documents of some 300 bytes. ``raw`` is valkey-py and MessagePack: no checksum, no key check, no
expiry, no deadline, no counting. ``raw, same entries`` is valkey-py and our codec: the same work. Contenders
take turns, and a figure is the median of the rounds' means. cashews has only asynchronous verbs and is held
against ours. The second part is a read-mostly Zipf load from four processes: managers with memory, server and
backplane against processes that ask the server each time; each value carries the time of its writing, so that
a reader knows how old one is that it should not see.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import time
from collections.abc import Callable
from contextlib import suppress
from statistics import median
from typing import Any

import valkey
from msgspec import msgpack

from benchmarks.guard import ready
from benchmarks.servers import server
from perfcore.cache import CacheManager, RemoteCache
from perfcore.cache.codec import Codec
from perfcore.cache.keys import encode_key

KEYS = [f"user:{number}" for number in range(1000)]
DOCUMENT = {
    "name": "a name",
    "tags": ["x", "y", "z"],
    "scores": [1.5, 2.5] * 8,
    "text": "words and words " * 8,
}
BATCH = 100
CALLS, BATCHES = 1500, 60


# --- one call -----------------------------------------------------------------------------------------------


def contenders(port: int) -> dict[str, tuple[Callable[[str], Any], Callable[[list[str]], Any]]]:
    """A lookup and a lookup of many, by name; all have all keys."""
    ours = RemoteCache(f"redis://127.0.0.1:{port}")
    ours.set_many(dict.fromkeys(KEYS, DOCUMENT), ttl=3600)
    client = valkey.Valkey(port=port)
    encoded = msgpack.encode(DOCUMENT)
    client.mset({f"raw:{key}": encoded for key in KEYS})
    decode, codec, store = msgpack.decode, Codec(), ours._store

    def name_of(key: str) -> bytes:
        return store.names.key(store.epoch.current or "", encode_key(key))

    def unpack(data: bytes, key: str) -> Any:
        return codec.decode(data, key=encode_key(key))

    found = {
        "raw": (
            lambda key: decode(client.get(f"raw:{key}")),
            lambda keys: [decode(value) for value in client.mget([f"raw:{key}" for key in keys])],
        ),
        "raw, same entries": (
            lambda key: unpack(client.get(name_of(key)), key),
            lambda keys: list(map(unpack, client.mget([name_of(key) for key in keys]), keys)),
        ),
        "perfcore": (ours.get, ours.get_many),
    }
    with suppress(ImportError):
        from dogpile.cache import make_region

        region = make_region().configure(
            "dogpile.cache.redis", arguments={"host": "127.0.0.1", "port": port, "distributed_lock": False}
        )
        region.set_multi(dict.fromkeys(KEYS, DOCUMENT))
        found["dogpile.cache"] = region.get, region.get_multi
    return found


def measure(call: Callable[[Any], Any], arguments: list[Any]) -> float:
    """Microseconds for a call."""
    begin = time.perf_counter()
    for argument in arguments:
        call(argument)
    return (time.perf_counter() - begin) / len(arguments) * 1e6


def calls(port: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Median microseconds for a get and for a get_many of 100, by name."""
    draw = random.Random(1)
    named = contenders(port)
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in named}
    for _ in range(rounds):
        singles = draw.choices(KEYS, k=CALLS)
        batches = [draw.sample(KEYS, BATCH) for _ in range(BATCHES)]
        for name, (get, get_many) in named.items():
            assert get(KEYS[0]) == DOCUMENT
            times[name][0].append(measure(get, singles))
            times[name][1].append(measure(get_many, batches))
    return {name: (median(one), median(many)) for name, (one, many) in times.items()}


async def asynchronous(port: int, rounds: int) -> dict[str, tuple[float, float]]:
    """The same for the asynchronous verbs, awaited one after the other."""
    from cashews import Cache

    rival = Cache()
    rival.setup(f"redis://127.0.0.1:{port}")
    ours = RemoteCache(f"redis://127.0.0.1:{port}", prefix="async")
    await ours.aset_many(dict.fromkeys(KEYS, DOCUMENT))
    await rival.set_many(dict.fromkeys(KEYS, DOCUMENT), expire=3600)
    named = {
        "perfcore (async)": (ours.aget, ours.aget_many),
        "cashews": (rival.get, lambda keys: rival.get_many(*keys)),
    }
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in named}
    draw = random.Random(2)
    for _ in range(rounds):
        singles, batches = draw.choices(KEYS, k=CALLS), [draw.sample(KEYS, BATCH) for _ in range(BATCHES)]
        for name, verbs in named.items():
            for verb, arguments, kept in zip(verbs, (singles, batches), times[name], strict=True):
                begin = time.perf_counter()
                for argument in arguments:
                    await verb(argument)
                kept.append((time.perf_counter() - begin) / len(arguments) * 1e6)
    await ours.aclose()
    await rival.close()
    return {name: (median(one), median(many)) for name, (one, many) in times.items()}


# --- four processes -----------------------------------------------------------------------------------------

PROCESSES, WRITES_A_SECOND, INTERVAL = 4, 10, 0.5


def zipf(count: int, seed: int) -> list[str]:
    """Keys in the order in which a service asks for them: Zipf with exponent 1."""
    weights = [1 / rank for rank in range(1, len(KEYS) + 1)]
    return random.Random(seed).choices(KEYS, weights, k=count)


def reader(port: int, number: int, seconds: float, results: Any) -> None:
    """One process with a manager: reads, now and then writes; reports reads, rate and what was too old."""
    url = f"redis://127.0.0.1:{port}"
    asked, draw = zipf(100_000, number), random.Random(number)
    with CacheManager(remote={"url": url, "prefix": "zipf", "backplane": INTERVAL}) as manager:
        manager.get_many(KEYS)  # warm
        before, reads, oldest = manager.stats().tiers["remote"], 0, 0.0
        begin = time.perf_counter()
        write_at, end = begin + draw.random() * PROCESSES / WRITES_A_SECOND, begin + seconds
        latest = RemoteCache(url, prefix="zipf")
        while (now := time.perf_counter()) < end:
            for place in range(500):
                manager.get(asked[(reads + place) % len(asked)])
            reads += 500
            if now > write_at:
                write_at = now + PROCESSES / WRITES_A_SECOND
                manager.set(draw.choice(KEYS[:50]), (time.time(), DOCUMENT))
                key = draw.choice(KEYS[:50])
                held = manager.get(key)
                there = latest.get(key)
                if held is not None and there is not None and held[0] < there[0]:
                    oldest = max(oldest, time.time() - there[0])
        took = time.perf_counter() - begin
        after = manager.stats().tiers["remote"]
    below = after.hits + after.misses - before.hits - before.misses
    results.put((reads, below, reads / took, oldest))


def asker(port: int, number: int, seconds: float, results: Any) -> None:
    """One process that asks the server each time."""
    client, asked, reads = valkey.Valkey(port=port), zipf(100_000, number), 0
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        for place in range(100):
            msgpack.decode(client.get(f"raw:{asked[(reads + place) % len(asked)]}") or b"\xc0")
        reads += 100
    results.put((reads, reads, reads / (time.perf_counter() - begin), 0.0))


def together(work: Callable[..., None], port: int, seconds: float) -> tuple[float, float, float]:
    """The share answered from memory, reads a second in all, and the age of the oldest stale read."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=work, args=(port, n, seconds, results)) for n in range(PROCESSES)]
    for process in processes:
        process.start()
    found = [results.get(timeout=60 + seconds) for _ in processes]
    for process in processes:
        process.join()
    reads, below = sum(one[0] for one in found), sum(one[1] for one in found)
    return 1 - below / reads, sum(one[2] for one in found), max(one[3] for one in found)


def main() -> None:
    ready()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    with server() as port:
        found = calls(port, options.rounds)
        with suppress(ImportError):
            found |= asyncio.run(asynchronous(port, options.rounds))
        print(f"{'':18}{'get us':>9}{'100 us':>9}")
        for name, (one, many) in found.items():
            print(f"{name:18}{one:9.1f}{many:9.1f}")
        with CacheManager(remote={"url": f"redis://127.0.0.1:{port}", "prefix": "zipf"}) as manager:
            manager.set_many(dict.fromkeys(KEYS, (time.time(), DOCUMENT)))
        share, rate, oldest = together(reader, port, options.seconds)
        _, raw, _ = together(asker, port, options.seconds)
    print(
        f"\n4 processes, Zipf: {share:.2%} from memory, {rate:,.0f} reads/s; server alone {raw:,.0f} reads/s"
    )
    bars = [
        ("get, times raw, same entries", found["perfcore"][0] / found["raw, same entries"][0], "<=", 1.25),
        (
            "get_many(100), times raw, same entries",
            found["perfcore"][1] / found["raw, same entries"][1],
            "<=",
            1.3,
        ),
        ("Zipf, share of memory", share, ">=", 0.95),
        ("Zipf, times raw gets", rate / raw, ">=", 20),
        ("Zipf, oldest stale read in s", oldest, "<=", 2 * INTERVAL + 0.5),
    ]
    for mine, rival in (("perfcore", "dogpile.cache"), ("perfcore (async)", "cashews")):
        if rival in found:
            for place, what in enumerate(("get", "get_many(100)")):
                bars.append((f"{what}, times {rival}", found[mine][place] / found[rival][place], "<=", 1))
    for bar, figure, way, wanted in bars:
        met = figure >= wanted if way == ">=" else figure <= wanted
        print(f"{'met   ' if met else 'MISSED'} {bar}: {figure:.3f} (bar {way} {wanted})")


if __name__ == "__main__":
    main()
