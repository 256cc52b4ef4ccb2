"""What other processes do to a cache while a test looks on: ``python actors.py <actor> <arguments>``."""

import asyncio
import logging
import os
import random
import sys
import threading
import time
from pathlib import Path

from perfcore.cache import CacheManager, DiskCache


def filler(number):
    """Content that tells by itself whether it is whole: of many sizes, most compressible, some not."""
    draw = random.Random(number)
    size = draw.choice([10, 100, 1000, 5000, 40_000])
    return draw.randbytes(size) if number % 3 else (f"{number} " * size)[:size]


def say(*words):
    print(*words, flush=True)


def write_until_killed(folder, durability, seed):
    """Write, delete and write in groups, and say of each step when it has returned."""
    draw = random.Random(int(seed))
    with DiskCache(folder, maxbytes="4MB", durability=durability) as cache:
        number = int(seed) * 1_000_000
        while True:
            number += 1
            key = f"key-{draw.randrange(40)}"
            kind = draw.randrange(10)
            say("begin", number, key)
            if kind == 0:
                cache.delete(key)
                say("gone", number, key)
            elif kind == 1:
                cache.set_many({key: (key, number, filler(number)), "group": ("group", number, b"")})
                say("done", number, key)
            else:
                cache[key] = (key, number, filler(number))
                say("done", number, key)


def tell_the_time(folder, count):
    """Put the monotonic time, which all processes share, under ``now``."""
    with DiskCache(folder, maxbytes="4MB") as cache:
        for _ in range(int(count)):
            cache["now"] = time.monotonic()
            time.sleep(0.07)


def churn(folder, seed, count):
    """Set, get and delete as many others do, and check that each value is one written for its key."""
    draw = random.Random(int(seed))
    wrong = 0
    with DiskCache(folder, maxbytes="2MB") as cache:
        for step in range(int(count)):
            key = ("shared", draw.randrange(60))
            kind = draw.randrange(10)
            if kind == 0:
                cache.delete(key)
            elif kind < 5:
                cache[key] = (key, draw.randrange(10**6), os.urandom(draw.choice([10, 500, 9000])))
            elif kind == 5 and step % 50 == 0:
                cache.clear()
            else:
                found = cache.get(key)
                wrong += found is not None and found[0] != key
        cache["finished", seed] = True
        stats = cache.stats()
    say(wrong, stats.errors, stats.damaged, stats.dropped)


def compute_once(folder, key):
    """Ask for a value that takes a while to compute, and say whether this process had to."""
    computed = []

    def compute():
        computed.append(1)
        time.sleep(0.3)
        return os.getpid()

    with DiskCache(folder, maxbytes="2MB") as cache:
        say("ready")
        sys.stdin.readline()
        cache.get_or_set(key, compute)
    say(len(computed))


def compute_in_turn(folder, how):
    """For a manager, as a thread or on an event loop: as ``compute_once``, then refresh what is stale."""
    computed = []
    options = {"ttl": 0.5, "stale_ttl": 60}

    def compute():
        computed.append(1)
        time.sleep(0.3)
        return os.getpid()

    async def acompute():
        return await asyncio.to_thread(compute)

    async def ask(manager):
        await manager.aget_or_set("k", acompute, **options)
        while manager._flights.tasks.all():
            await asyncio.sleep(0.01)

    with CacheManager({"maxsize": 10}, {"directory": folder}) as manager:
        for _ in range(2):
            say("ready")
            sys.stdin.readline()
            if how == "async":
                asyncio.run(ask(manager))
            else:
                manager.get_or_set("k", compute, **options)
                while manager._flights.threads.all():
                    time.sleep(0.01)
            say(len(computed))
            computed.clear()


def works_in_memory(manager):
    manager.set("a", 1, tags=["t"])
    manager.set("b", 2, depends_on=["a"])
    manager.set("c", 3)
    assert manager.get_many("abc") == [1, 2, 3]
    manager.invalidate_tags("t")
    assert manager.get_many("abc") == [None, None, 3]
    manager.set("a", 4, tags=["t"])
    manager.delete("c")
    assert manager.get("c") is None
    assert manager.get_or_set("d", lambda: 5, ttl=60) == 5


def work_in_memory(folder):
    """Use a manager whose directory may not be written to."""
    logging.disable()
    with CacheManager({"maxsize": 10}, {"directory": folder}) as manager:
        works_in_memory(manager)
        say("ok" if manager.health()["disk"].ok else "not ok")


def serve_until_killed(folder):
    """Have some keys hot, and more cold ones, in a manager that notes the hottest."""
    with CacheManager({"maxsize": 200}, {"directory": folder}, note_interval=0.05) as manager:
        manager.set_many({number: {"number": number} for number in range(1000)}, tags=["t"])
        manager.set("only here", 1, persistent=False)
        while True:
            for number in range(20):
                manager.get(number)
            if manager._restart._noted:
                manager.flush()  # it is written behind
                say("noted")


def fork_while_busy(folder):
    """Fork in the middle of other threads' reading and writing; both sides go on and see each other."""
    with DiskCache(folder, maxbytes="8MB") as cache:
        cache["before"] = "fork"
        stop = threading.Event()

        def hammer(seed):
            draw = random.Random(seed)
            while not stop.is_set():
                key = ("hammer", draw.randrange(50))
                cache[key] = filler(draw.randrange(100))
                cache.get(key)

        threads = [threading.Thread(target=hammer, args=(seed,)) for seed in range(3)]
        for thread in threads:
            thread.start()
        children = []
        for number in range(5):
            time.sleep(0.03)
            child = os.fork()
            if child == 0:
                good = cache.get("before") == "fork" and cache.get("nothing") is None
                cache["child", number] = number
                cache.flush()
                good &= cache.get(("child", number)) == number and cache.delete("unknown") is False
                os._exit(0 if good else 1)
            children.append(child)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        stop.set()
        for thread in threads:
            thread.join()
        found = [cache.get(("child", number)) for number in range(5)]
        say(codes, found, cache.stats().errors)


def fork_and_leave(folder):
    """Write in a child of multiprocessing that ends without closing anything."""
    import multiprocessing

    cache = DiskCache(folder, maxbytes="2MB")

    def child():
        cache["from the child"] = 1

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    say(process.exitcode, cache.get("from the child"))


def leave_without_closing(folder):
    """End the program with a write still pending."""
    cache = DiskCache(folder, maxbytes="2MB")
    cache["last words"] = "written"
    globals()["kept"] = cache


def hold_readers(folder, count):
    """Take ``count`` reader slots and hold them."""
    import lmdb

    environment = lmdb.open(folder, max_readers=1, map_size=1 << 24, lib_version=0)
    held = []
    try:
        while len(held) < int(count):
            held.append(environment.begin())
    except lmdb.ReadersFullError:
        pass
    say(len(held))
    sys.stdin.readline()


def outgrow(folder, seed, limit=None):
    """Write and delete more than the disk holds; no key ever answers with anything but its last value."""
    import resource

    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    draw = random.Random(int(seed))
    last = {}
    wrong = kept = 0
    with DiskCache(folder, maxbytes="64MB") as cache:
        for step in range(2500):
            key = f"key-{draw.randrange(300)}"
            if draw.random() < 0.2:
                cache.delete(key)
                last[key] = None
            else:
                last[key] = draw.randbytes(draw.choice([100, 3000, 20_000]))
                cache[key] = last[key]
            if step % 100 == 99:
                cache.flush()
            probe = f"key-{draw.randrange(300)}"
            wrong += cache.get(probe) not in (None, last.get(probe))
        cache.flush()
        stats = cache.stats()
    with DiskCache(folder, maxbytes="64MB") as cache:
        for key, value in last.items():
            found = cache.get(key)
            kept += found is not None
            wrong += found not in (None, value)
    say(wrong, kept > 0, stats.errors > 0, stats.damaged)


def live_without(folder):
    """Use a directory that cannot be used, as somebody who owns nothing."""
    import logging

    os.setgid(65534)
    os.setuid(65534)
    heard = []
    handler = logging.Handler()
    handler.emit = heard.append
    logging.getLogger("perfcore.cache").addHandler(handler)
    with DiskCache(folder, maxbytes="2MB") as cache:
        for number in range(200):
            cache[number] = number
            cache.get(number - 1)
        cache.flush()
        found = [cache.get(number) for number in range(200)]
        many = (
            cache.get_many([1, 2]),
            cache.delete(1),
            cache.add(1, 2),
            cache.pop(1, "none"),
            list(cache),
            len(cache),
        )
        cache.clear()
        computed = cache.get_or_set("a", lambda: "computed")
        say(set(found) == {None}, many, computed, len(heard))


def survive_damage(folder, seed, count):
    """Damage a file in all the ways in which files are damaged, and go on using it."""
    folder = Path(folder)
    draw = random.Random(int(seed))
    whole = _used_file(folder / "whole")
    right = missing = aside = 0
    for _ in range(int(count)):
        work = folder / "work"
        work.mkdir(exist_ok=True)
        for file in work.iterdir():
            file.unlink()
        (work / "data.mdb").write_bytes(_damaged(draw, bytearray(whole)))
        with DiskCache(work, maxbytes="256KB", compression="off") as cache:
            for number in range(60):
                found = cache.get(number)
                assert found in (None, filler(number)), number
                right += found is not None
                missing += found is None
            for number in range(60, 90):
                cache[number] = filler(number)
            cache.flush()
            for number in range(0, 90, 3):
                cache.delete(number)
            assert all(cache.get(number) in (None, filler(number)) for number in range(90))
            list(cache)
        aside += (work / "data.mdb.damaged").exists()
    say(right, missing, aside)


def _used_file(folder):
    with DiskCache(folder, maxbytes="256KB", compression="off") as cache:
        for turn in range(4):
            for number in range(turn, 60):
                cache[number] = filler(number)
            cache.flush()
            cache.delete_many(range(turn * 3))
        cache.set_many({number: filler(number) for number in range(60)})
    return (folder / "data.mdb").read_bytes()


def _damaged(draw, content):
    kind = draw.choice(["bit", "bytes", "header", "noise", "zeros", "swap", "cut", "grow"])
    used = len(content.rstrip(b"\0"))
    place, page = draw.randrange(used), draw.randrange(used // 4096) * 4096
    if kind == "bit":
        content[place] ^= 1 << draw.randrange(8)
    elif kind == "bytes":
        for _ in range(8):
            content[draw.randrange(used)] = draw.randrange(256)
    elif kind == "header":
        for _ in range(2):
            content[page + draw.randrange(152)] = draw.randrange(256)
    elif kind == "noise":
        content[place : place + 600] = draw.randbytes(600)
    elif kind == "zeros":
        content[page : page + 4096] = bytes(4096)
    elif kind == "swap":
        other = draw.randrange(used // 4096) * 4096
        content[page : page + 4096], content[other : other + 4096] = (
            content[other : other + 4096],
            content[page : page + 4096],
        )
    elif kind == "cut":
        del content[place:]
    else:
        content += draw.randbytes(5000)
    return content


def outgrow_the_map(folder):
    """Write more than processes with a small budget have mapped."""
    with DiskCache(folder, maxbytes="64MB", compression="off") as cache:
        cache.set_many({number: bytes([number]) * 100_000 for number in range(200)})


def invalidate(folder, tag):
    """Invalidate a tag."""
    with DiskCache(folder, maxbytes="1MB") as cache:
        cache.invalidate_tags(tag)


def what_is_loaded():
    """Say what importing the disk tier has started and opened."""
    import perfcore.cache.disk

    files = [link for link in Path("/proc/self/fd").iterdir() if link.exists()]
    say(threading.active_count(), len(files) < 6 and bool(perfcore.cache.disk.DiskCache))


def answer_for_tiers(folder):
    """Do to a cache manager what the lines say, and answer."""
    with CacheManager({"maxsize": 1000}, {"directory": folder, "maxbytes": "64MB"}) as manager:
        say("ready")
        for line in sys.stdin:
            verb, *words = line.split()
            if verb == "get":
                say(manager.get(words[0]))
                continue
            if verb == "set":
                manager.set(*words)
            elif verb == "tag":
                manager.set(words[0], "tagged", tags=words[1:])
            elif verb == "untag":
                manager.invalidate_tags(*words)
            elif verb == "flush":
                manager.flush()
            say("done")


def churn_tiers(folder, seed, count):
    """Set and remove, and count what is found here after this process has removed it as the last one to
    write.
    """
    draw = random.Random(int(seed))
    wrong = 0
    with CacheManager({"maxsize": 20}, {"directory": folder, "maxbytes": "8MB"}) as manager:
        for step in range(int(count)):
            mine, shared = ("mine", seed, draw.randrange(8)), ("shared", draw.randrange(8))
            manager.set(mine, (mine, step), tags=[("tag", seed)])
            wrong += manager.get(mine) not in ((mine, step), None)
            manager.set(shared, (shared, step))
            found = manager.get(shared)
            wrong += found is not None and found[0] != shared
            if step % 5 == 0:
                manager.delete(mine)
                wrong += manager.get(mine) is not None
            elif step % 7 == 0:
                manager.invalidate_tags(("tag", seed))
                wrong += manager.get(mine) is not None
            manager.get_many([("shared", number) for number in range(8)])
    say(wrong)


def write_tiers_until_killed(folder):
    """Write ever larger numbers under one key."""
    with CacheManager({"maxsize": 10}, {"directory": folder, "maxbytes": "8MB"}) as manager:
        say("ready")
        number = manager.get("killed", 0)
        while True:
            number += 1
            manager.set("killed", number)
            manager.flush()


def fork_tiers(folder):
    """Fork in the middle of other threads' use of a manager; both sides go on and see each other."""
    with CacheManager({"maxsize": 100}, {"directory": folder, "maxbytes": "8MB"}) as manager:
        manager.set("before", "fork", tags=["t"])
        stop = threading.Event()

        def hammer(seed):
            draw = random.Random(seed)
            while not stop.is_set():
                manager.set(draw.randrange(50), seed, tags=["t"])
                manager.get(draw.randrange(50))
                manager.get_or_set(("computed", draw.randrange(5)), lambda: seed, ttl=5)

        threads = [threading.Thread(target=hammer, args=(seed,)) for seed in range(3)]
        for thread in threads:
            thread.start()
        codes = []
        for number in range(4):
            time.sleep(0.03)
            child = os.fork()
            if child == 0:
                good = manager.get("before") == "fork" and manager.get("nothing") is None
                manager.set(("child", number), number)
                good &= manager.get_or_set(("own", number), lambda: 1) == 1
                manager.flush()
                good &= manager.get(("child", number)) == number
                os._exit(0 if good else 1)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        stop.set()
        for thread in threads:
            thread.join()
        seen = [manager.get(("child", number)) for number in range(4)]
        manager.invalidate_tags("t")
        say(
            "good"
            if codes == [0] * 4 and seen == [0, 1, 2, 3] and manager.get("before") is None
            else (codes, seen)
        )


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
