"""What an operation on a cache on disk costs, beside the other stores, in one run.

    python -m benchmarks.rivals.disk [--count 5000] [--sizes 1,4,64] [--rounds 3] [--only perfcore,diskcache]

Values are JSON-like documents of about 1, 4 and 64 KB. ``set`` writes them all and counts until everything is
committed, ``get`` reads in random order; contenders take turns within each round, and a figure is the minimum
of the rounds. ``bare`` is the floor: msgpack, zstd and LMDB in a loop without keys, checksums, time or
budget, one transaction for 1000 puts. ``stored`` is the size of the directory's files per byte of
MessagePack.
"""

from __future__ import annotations

import argparse
import importlib
import pickle
import random
import shelve
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import lmdb
import zstandard
from msgspec import msgpack

from perfcore.cache import DiskCache

Documents = dict[str, Any]


def document(draw: random.Random, words: Sequence[str], size: int) -> dict[str, Any]:
    """A record as an API would return it, of about ``size`` bytes."""
    record: dict[str, Any] = {
        "id": draw.randrange(10**9),
        "email": f"{draw.choice(words)}@example.com",
        "active": draw.random() < 0.5,
        "score": draw.random(),
        "tags": draw.choices(words, k=4),
        "items": [],
    }
    left = size - 150
    while left > 0:
        text = " ".join(draw.choices(words, k=8))
        record["items"].append(
            {"sku": f"X{draw.randrange(10**5):05}", "price": draw.randrange(10**4) / 100, "text": text}
        )
        left -= len(text) + 35
    return record


def documents(count: int, size: int, seed: int = 1) -> Documents:
    """Records by key."""
    draw = random.Random(seed)
    words = [
        "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randrange(3, 10))) for _ in range(2000)
    ]
    return {f"user:{number}": document(draw, words, size) for number in range(count)}


class Store:
    """What every contender can do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def set_all(self, values: Documents) -> None:
        raise NotImplementedError

    def getter(self) -> Callable[[str], Any]:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class Ours(Store):
    durability = "relaxed"

    def __init__(self, folder: Path) -> None:
        self.cache = DiskCache(folder, maxbytes="8GB", durability=self.durability)

    def set_all(self, values: Documents) -> None:
        put = self.cache.set
        for key, value in values.items():
            put(key, value)
        self.cache.flush()

    def getter(self) -> Callable[[str], Any]:
        return self.cache.get

    def close(self) -> None:
        self.cache.close()


class OursCommitted(Ours):
    durability = "commit"


class Bare(Store):
    """The floor: no key echo, no checksum, no expiry, no budget, and the map is as large as it must be."""

    def __init__(self, folder: Path) -> None:
        self.environment = lmdb.open(
            str(folder), map_size=1 << 34, sync=False, metasync=False, max_spare_txns=1
        )
        self.pack, self.unpack = msgpack.Encoder().encode, msgpack.Decoder().decode
        self.shrink, self.restore = (
            zstandard.ZstdCompressor(3).compress,
            zstandard.ZstdDecompressor().decompress,
        )

    def set_all(self, values: Documents) -> None:
        items = [(key.encode(), value) for key, value in values.items()]
        for start in range(0, len(items), 1000):
            with self.environment.begin(write=True) as txn:
                for key, value in items[start : start + 1000]:
                    txn.put(key, self.shrink(self.pack(value)))

    def getter(self) -> Callable[[str], Any]:
        begin, unpack, restore = self.environment.begin, self.unpack, self.restore

        def get(key: str) -> Any:
            txn = begin()
            data = txn.get(key.encode())
            txn.abort()
            return unpack(restore(data))

        return get

    def close(self) -> None:
        self.environment.close()


class DiskCacheRival(Store):
    def __init__(self, folder: Path) -> None:
        self.cache = importlib.import_module("diskcache").Cache(str(folder), size_limit=1 << 33)

    def set_all(self, values: Documents) -> None:
        for key, value in values.items():
            self.cache.set(key, value)

    def getter(self) -> Callable[[str], Any]:
        get: Callable[[str], Any] = self.cache.get
        return get

    def close(self) -> None:
        self.cache.close()


class Sqlite(Store):
    """sqlite3 and pickle by hand, a transaction for each write, as diskcache has them."""

    def __init__(self, folder: Path) -> None:
        self.connection = sqlite3.connect(folder / "cache.db", isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = NORMAL")
        self.connection.execute("CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB)")

    def set_all(self, values: Documents) -> None:
        for key, value in values.items():
            self.connection.execute(
                "INSERT OR REPLACE INTO entries VALUES (?, ?)", (key, pickle.dumps(value, 5))
            )

    def getter(self) -> Callable[[str], Any]:
        execute = self.connection.execute
        return lambda key: pickle.loads(
            execute("SELECT value FROM entries WHERE key = ?", (key,)).fetchone()[0]
        )

    def close(self) -> None:
        self.connection.close()


class Shelve(Store):
    def __init__(self, folder: Path) -> None:
        self.shelf = shelve.open(str(folder / "shelf"), protocol=5)  # noqa: SIM115

    def set_all(self, values: Documents) -> None:
        for key, value in values.items():
            self.shelf[key] = value
        self.shelf.sync()

    def getter(self) -> Callable[[str], Any]:
        return self.shelf.__getitem__

    def close(self) -> None:
        self.shelf.close()


CONTENDERS: dict[str, type[Store]] = {
    "perfcore": Ours,
    "perfcore-commit": OursCommitted,
    "bare": Bare,
    "diskcache": DiskCacheRival,
    "sqlite3": Sqlite,
    "shelve": Shelve,
}


def measure(make: type[Store], values: Documents, keys: Sequence[str]) -> tuple[float, float, int]:
    """Return microseconds for a set and for a get, and the bytes stored."""
    folder = Path(tempfile.mkdtemp(prefix="perfcore-bench-"))
    try:
        store = make(folder)
        begin = time.perf_counter()
        store.set_all(values)
        written = time.perf_counter()
        get = store.getter()
        for key in keys:
            get(key)
        read = time.perf_counter()
        store.close()
        stored = sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())
        return (written - begin) / len(values) * 1e6, (read - written) / len(keys) * 1e6, stored
    finally:
        shutil.rmtree(folder)


def run(size: int, count: int, rounds: int, names: Sequence[str]) -> Iterator[tuple[str, float, float, int]]:
    """Yield the best figures of each contender for documents of ``size`` bytes."""
    values = documents(count, size)
    draw = random.Random(2)
    keys = [draw.choice(list(values)) for _ in range(min(count, 20_000))]
    best: dict[str, tuple[float, float, int]] = {}
    for _ in range(rounds):
        for name in names:
            with suppress(ImportError):
                figures = measure(CONTENDERS[name], values, keys)
                best[name] = tuple(map(min, figures, best.get(name, figures)))  # type: ignore[assignment]
    raw = sum(len(msgpack.encode(value)) for value in values.values())
    print(f"\n{count} values of {raw // count} bytes (MessagePack)")
    print(f"{'':18}{'set us':>9}{'x':>8}{'get us':>9}{'x':>8}{'stored':>9}")
    ours = best["perfcore"]
    for name, (put, get, stored) in best.items():
        print(f"{name:18}{put:9.1f}{put / ours[0]:8.2f}{get:9.1f}{get / ours[1]:8.2f}{stored / raw:9.2f}")
        yield name, put, get, stored


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--sizes", default="1,4,64", help="in KB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(CONTENDERS))
    options = parser.parse_args()
    names = ["perfcore", *(name for name in options.only.split(",") if name != "perfcore")]
    for size in map(int, options.sizes.split(",")):
        list(run(size * 1000, options.count, options.rounds, names))


if __name__ == "__main__":
    main()
