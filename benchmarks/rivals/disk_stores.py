"""The stores that ``disk.py`` compares, behind one interface, and the documents they are given."""

from __future__ import annotations

import importlib
import marshal
import pickle
import random
import shelve
import sqlite3
from collections.abc import Callable, Sequence
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
    """Records by key; above 64 MB of them the same ones come again."""
    draw = random.Random(seed)
    words = [
        "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randrange(3, 10))) for _ in range(2000)
    ]
    records = [document(draw, words, size) for _ in range(min(count, max(1000, (64 << 20) // size)))]
    return {f"user:{number}": records[number % len(records)] for number in range(count)}


class Store:
    """What every contender can do; one in ``share`` of the values are enough for a slow one."""

    share = 1

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def set_all(self, values: Documents) -> None:
        raise NotImplementedError

    def flush(self) -> None:
        """Wait until all is committed."""

    def put(self, key: str, value: Any) -> None:
        self.set_all({key: value})

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

    def flush(self) -> None:
        self.cache.flush()

    def getter(self) -> Callable[[str], Any]:
        return self.cache.get

    def close(self) -> None:
        self.cache.close()


class OursCommitted(Ours):
    durability = "commit"


class OursSynced(Ours):
    durability = "sync"
    share = 20


class Objects(Store):
    """What making the objects takes, by the fastest reader there is: nothing is looked up, no store can be
    faster."""

    def set_all(self, values: Documents) -> None:
        self.data = {key: marshal.dumps(value) for key, value in values.items()}

    def getter(self) -> Callable[[str], Any]:
        find = self.data.__getitem__
        return lambda key: marshal.loads(find(key))

    def close(self) -> None:
        pass


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


class Joblib(Store):
    """A function behind joblib.Memory: set is the first call, get a later one."""

    share = 20

    def __init__(self, folder: Path) -> None:
        self.memory = importlib.import_module("joblib").Memory(folder, verbose=0)
        self.values: Documents = {}
        self.cached: Any = None

    def set_all(self, values: Documents) -> None:
        def load(key: str) -> Any:
            return values[key]

        self.cached = self.memory.cache(load)
        for key in values:
            self.cached(key)

    def getter(self) -> Callable[[str], Any]:
        get: Callable[[str], Any] = self.cached
        return get

    def close(self) -> None:
        pass


CONTENDERS: dict[str, type[Store]] = {
    "perfcore": Ours,
    "perfcore-commit": OursCommitted,
    "perfcore-sync": OursSynced,
    "diskcache": DiskCacheRival,
    "sqlite3": Sqlite,
    "shelve": Shelve,
    "joblib": Joblib,
    "bare": Bare,
    "objects": Objects,
}
