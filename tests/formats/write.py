"""Writes what this release stores: ``python tests/formats/write.py tests/data/formats/VERSION``.

To be run once for each release, with the release installed (or its checkout first on the path); what it has
written is then never changed. A part that the release does not have yet is left out.
"""

import io
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import lmdb

sys.path.append(str(Path(__file__).parent.parent))

from formats import contents


def disk(home):
    """Plain entries, with tags, with an end, invalidated, and enough alike for a dictionary."""
    from perfcore import DiskCache

    with DiskCache(home, maxbytes="64MB") as cache:
        for name, value in contents.VALUES.items():
            cache.set(("value", name), value)
        for number, key in enumerate(contents.KEYS):
            cache.set(key, number)
        cache.set("for a century", 1, ttl=contents.CENTURY)
        cache.set("for a moment", 1, ttl=0.001)
        cache.set("tagged", 1, tags=["kept", ("tag", 1)])
        cache.set("invalidated", 1, tags=["gone"])
        cache.invalidate_tags("gone")
        cache.set("deleted", 1)
        cache.delete("deleted")
    for _ in range(2):  # the dictionary is learnt from the first, and used for the second
        with DiskCache(home, maxbytes="64MB") as cache:
            cache.set_many(contents.SIMILAR)


def signed(home):
    """Entries that a secret signs, among them one that is pickled."""
    from perfcore import DiskCache
    from perfcore.cache.codec import Codec

    with DiskCache(home, codec=Codec(secret=contents.SECRET, pickle=True)) as cache:
        cache.set("plain", [1, 2])
        cache.set("pickled", slice(1, 2))
    with DiskCache(home) as cache:
        cache.set("without", 1)


def export(home):
    """The same as a portable file."""
    from perfcore import DiskCache
    from perfcore.cache.disk.transfer import write_to

    home.mkdir()
    with tempfile.TemporaryDirectory() as folder:
        disk(Path(folder))
        file = io.BytesIO()
        with DiskCache(folder) as cache:
            write_to(cache._store, file)
    (home / "all.export").write_bytes(file.getvalue())


def restart(home):
    """What a manager keeps of its memory at a clean stop."""
    from perfcore.cache import CacheManager

    with CacheManager({"maxsize": 100, "policy": "lru"}, {"directory": home, "maxbytes": "64MB"}) as manager:
        for number in range(50):
            manager.set(("row", number), {"number": number}, tags=["rows"])
        manager.set("in memory only", [1], persistent=False)
        manager.set("for a century", "yes", ttl=contents.CENTURY)
        manager.set("for a moment", "no", ttl=0.5)
        manager.get(("row", 7))


def killed(home):
    """What is noted of its hottest keys while it runs, for the case that it is killed."""
    from perfcore.cache import restart

    if not hasattr(restart, "note"):
        raise ImportError("nothing is noted by this release")
    process = multiprocessing.get_context("fork").Process(target=_until_killed, args=[home])
    process.start()
    process.join()


def _until_killed(home):
    from perfcore.cache import CacheManager, restart

    manager = CacheManager({"maxsize": 100, "policy": "lru"}, {"directory": home, "maxbytes": "64MB"})
    for number in range(20):
        manager.set(("row", number), {"number": number})
    manager.get(("row", 7))
    manager.flush()
    restart.note(manager, manager._restart._tier, [])
    manager.flush()
    os._exit(0)


def metrics(home):
    """The numbers of a process that has ended, and those that were folded in before."""
    from perfcore.metrics.multiprocess import collect

    for fold in (True, False):
        process = multiprocessing.get_context("fork").Process(target=_count, args=[home])
        process.start()
        process.join()
        collect(home, fold=fold)


def _count(home):
    from perfcore.metrics import Counter, Gauge, Histogram, Registry

    registry = Registry(directory=home, file_size=16_384)
    Counter("requests", "Requests.", labels=["path"], registry=registry).labels("/ä").inc(3)
    Counter("bytes", unit="By", registry=registry).inc(0.5)
    Gauge("depth", registry=registry).set(2.5)
    sizes = Histogram("sizes", unit="By", low=1, high=16, registry=registry)
    sizes.observe_many([0, 0.5, 1.5, 3, 3, 100, -1, float("nan")])


def snapshot(home):
    """A registry as JSON."""
    from perfcore.metrics import Counter, Gauge, Histogram, Registry, json_snapshot

    home.mkdir()
    registry = Registry()
    Counter("requests", "Requests.", labels=["path"], registry=registry).labels("/ä").inc(3)
    Gauge("depth", registry=registry).set(2.5)
    Histogram("sizes", unit="By", low=1, high=16, registry=registry).observe_many([0, 1.5, 3])
    text = json_snapshot(registry.snapshot())
    (home / "snapshot.json").write_bytes(text if isinstance(text, bytes) else json.dumps(text).encode())


def model(home):
    """What a predictor has learnt."""
    from perfcore.cache import Cache
    from perfcore.cache.predictive import PredictiveCaching

    home.mkdir()
    with PredictiveCaching(
        Cache(40, policy="lru"), loader=str, model=home / "pages.model", size=40
    ) as predictive:
        for key in contents.CIRCLE * 12:
            predictive.record(key, hit=False)


def parsed(home):
    """What a parser keeps of a file."""
    from perfcore.parsing import optimize_for_performance

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "shop.py"
        file.write_text(contents.SOURCE)
        os.utime(file, (time.time() - 100,) * 2)  # young files are not believed
        with optimize_for_performance({"cache_directory": home}) as parser:
            parser.parse_file(file)


PARTS = [disk, signed, export, restart, killed, metrics, snapshot, model, parsed]
#: what is of this machine and this moment alone
_LOCAL = ["lock.mdb", "seal", "epoch", "members.lock", "flights.lock", "fold.lock"]


def compact(path):
    """Leave out free pages, of which a budget in the megabytes has many."""
    with tempfile.TemporaryDirectory() as folder:
        with lmdb.open(str(path.parent), readonly=True, lock=False) as environment:
            environment.copy(folder, compact=True)
        shutil.copyfile(Path(folder) / "data.mdb", path)


def main(home):
    """Write all parts into ``home``, which must not exist."""
    from perfcore import __version__

    home.mkdir(parents=True)
    for part in PARTS:
        try:
            part(home / part.__name__)
        except ImportError as missing:
            print(f"{part.__name__}: left out: {missing}")
            shutil.rmtree(home / part.__name__, ignore_errors=True)
    for path in list(home.rglob("*")):
        if path.name in _LOCAL:
            path.unlink()
        elif path.name == "data.mdb":
            compact(path)
    print(f"perfcore {__version__}:")
    for path in sorted(home.rglob("*")):
        if path.is_file():
            print(f"{path.stat().st_size:>8} {path.relative_to(home)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
