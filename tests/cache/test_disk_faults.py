"""Disks that are full, away, damaged or somebody else's: nothing wrong is ever read."""

import logging
import os
import random
import shutil
import subprocess
import sys
import threading

import lmdb
import pytest
from cache.processes import KILLS, run

from perfcore.cache import DiskCache, clock
from perfcore.cache.disk.environment import DATA_FILE

DAMAGED = "data.mdb.damaged"
META, INDEX, DATA = b"\x00", b"\x01", b"\x02"


def raw(folder):
    """Open the directory with bare LMDB, as a stranger would."""
    return lmdb.open(str(folder), map_size=1 << 26, lib_version=0)


def lines(txn, kind):
    """Return keys and values of one kind: ``META``, ``INDEX`` or ``DATA``."""
    return [(key, value) for key, value in txn.cursor() if key.startswith(kind)]


def filled(folder, count=50):
    with DiskCache(folder, maxbytes="8MB", compression="off") as cache:
        cache.set_many({f"key-{number}": ("value", number, "x" * number * 100) for number in range(count)})
    return [f"key-{number}" for number in range(count)]


def right_or_missing(cache, keys):
    """Return how many of ``keys`` are there; what is there is what was written."""
    found = cache.get_many(keys)
    for key, value in zip(keys, found, strict=True):
        number = int(key.split("-")[1])
        assert value in (None, ("value", number, "x" * number * 100))
    return sum(value is not None for value in found)


# --- full ---------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB, or None where mounting one is not allowed."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)], capture_output=True
    )
    if mounted.returncode:
        yield None
        return
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


@pytest.mark.parametrize("seed", range(1, 1 + KILLS // 3))
def test_on_a_full_disk_a_key_answers_with_its_last_value_or_not_at_all(small_disk, seed):
    if small_disk is None:
        pytest.skip("no right to mount a file system; the quota test below covers the same paths")
    assert run("outgrow", small_disk, seed) == "0 True True 0"


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_under_a_quota(tmp_path, seed):
    assert run("outgrow", tmp_path, seed, 2 << 20) == "0 True True 0"


def test_a_directory_on_a_disk_without_any_room_is_done_without(small_disk, caplog):
    if small_disk is None:
        pytest.skip("no right to mount a file system")
    with (small_disk / "ballast").open("wb", buffering=0) as ballast, pytest.raises(OSError, match="space"):
        while True:
            ballast.write(bytes(4096))
    with (
        caplog.at_level(logging.WARNING, "perfcore"),
        DiskCache(small_disk / "cache", maxbytes="8MB") as cache,
    ):
        for number in range(100):
            cache[number] = number
            assert cache.get(number) in (None, number)
        cache.flush()
        assert len(cache) == 0
        (small_disk / "ballast").unlink()
        cache._store.access.connection.retry_at = 0  # not to wait for it here
        cache["room"] = "again"
        cache.flush()
        assert cache["room"] == "again"
    assert len(caplog.records) == 1


# --- away ---------------------------------------------------------------------------------------------------

WITHOUT = "True ([None, None], False, False, 'none', [], 0) computed 1"


def test_a_directory_that_may_not_be_written_is_done_without(tmp_path, monkeypatch):
    # as who it becomes it may not write what coverage finds out either
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:  # pytest's own are private
        if parent.stat().st_uid == os.getuid() and not parent.stat().st_mode & 0o001:
            parent.chmod(0o755)
    filled(tmp_path / "cache")
    (tmp_path / "cache").chmod(0o755)
    assert run("live_without", tmp_path / "cache") == WITHOUT
    assert run("live_without", tmp_path / "new") == WITHOUT


def test_a_file_in_place_of_the_directory_is_left_alone(tmp_path, caplog):
    path = tmp_path / "file"
    path.write_text("mine")
    with caplog.at_level(logging.WARNING, "perfcore"), DiskCache(path, maxbytes="8MB") as cache:
        cache["a"] = 1
        cache.flush()
        assert cache.get("a") is None
    assert path.read_text() == "mine"
    assert len(caplog.records) == 1


def test_deletes_and_updates_without_the_disk_are_not_forgotten_when_it_is_back(tmp_path, monkeypatch):
    with DiskCache(tmp_path, maxbytes="8MB") as cache:
        cache.set_many({"deleted": 1, "updated": 1, "kept": 1})
        access = cache._store.access
        with access.lock:
            access.connection.suspend(OSError("unplugged"))
        assert cache.get("kept") is None
        cache["updated"] = 2
        cache.delete("deleted")
        cache.flush()
        access.connection.retry_at = 0
        assert cache.get("deleted") is None
        assert cache.get("updated") in (None, 2)
        assert cache["kept"] == 1
        cache.flush()
    with DiskCache(tmp_path, maxbytes="8MB") as cache:
        assert cache.get("deleted") is None
        assert cache.get("updated") in (None, 2)
        assert cache["kept"] == 1


@pytest.mark.parametrize("back", [True, False])
def test_more_of_them_than_can_be_remembered_empty_the_cache(tmp_path, monkeypatch, back):
    monkeypatch.setattr("perfcore.cache.disk.committer._TOMBSTONES", 20)
    with DiskCache(tmp_path, maxbytes="8MB") as cache:
        cache.set_many(dict.fromkeys(range(100), "old"))
        access = cache._store.access
        with access.lock:
            access.connection.suspend(OSError("unplugged"))
        for number in range(100):
            cache[number] = "new"
        cache.flush()
        assert set(cache.get_many(range(100))) == {None}
        if back:
            access.connection.retry_at = 0
            cache["next"] = 1
            cache.flush()
            assert set(cache.get_many(range(100))) == {None}
    with DiskCache(tmp_path, maxbytes="8MB") as cache:
        assert set(cache.get_many(range(100))) == {None}
        assert cache.get("next") == (1 if back else None)


# --- damaged ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"", b"short", b"text " * 5000, os.urandom(100_000), bytes(100_000)],
    ids=["empty", "short", "text", "noise", "zeros"],
)
def test_a_file_that_is_none_of_ours_is_put_aside(tmp_path, caplog, content):
    (tmp_path / DATA_FILE).write_bytes(content)
    with caplog.at_level(logging.WARNING, "perfcore"), DiskCache(tmp_path, maxbytes="8MB") as cache:
        assert cache.get("a") is None
        cache["a"] = 1
        cache.flush()
        assert cache["a"] == 1
    assert len(caplog.records) == (1 if content else 0)
    assert not content or (tmp_path / DAMAGED).read_bytes() == content


def test_a_cache_of_another_version_and_a_strangers_database_are_put_aside(tmp_path):
    for number, change in enumerate(
        [
            lambda txn: txn.put(META + b"format", b"perfcore disk cache 999"),
            lambda txn: txn.delete(META + b"format"),
            lambda txn: txn.put(b"a stranger's", b"data") and txn.delete(META + b"format"),
        ]
    ):
        folder = tmp_path / str(number)
        keys = filled(folder)
        with raw(folder) as environment, environment.begin(write=True) as txn:
            change(txn)
        with DiskCache(folder, maxbytes="8MB") as cache:
            assert right_or_missing(cache, keys) == 0
        assert (folder / DAMAGED).exists()


def test_a_file_of_the_next_lmdb_is_put_aside(tmp_path):
    with lmdb.open(str(tmp_path), lib_version=1) as environment, environment.begin(write=True) as txn:
        txn.put(b"a", b"b")
    with DiskCache(tmp_path, maxbytes="8MB") as cache:
        cache.set_many({"a": 1})
        assert cache["a"] == 1
    assert (tmp_path / DAMAGED).exists()


MUTATIONS = int(os.environ.get("PERFCORE_MUTATIONS", "150"))


def test_a_damaged_file_gives_right_values_or_none_and_takes_nobody_down(tmp_path):
    right, missing, aside = map(int, run("survive_damage", tmp_path, 1, MUTATIONS, timeout=7200).split())
    assert right > 0 < missing
    assert aside > 0


def test_a_damaged_entry_is_a_miss_that_is_counted_and_removed(tmp_path):
    keys = filled(tmp_path)
    draw = random.Random(5)
    with raw(tmp_path) as environment, environment.begin(write=True) as txn:
        for number, entry in lines(txn, DATA):
            if draw.random() < 0.5:
                place = draw.randrange(len(entry))
                txn.put(number, entry[:place] + bytes([entry[place] ^ 1]) + entry[place + 1 :])
    with DiskCache(tmp_path, maxbytes="8MB") as cache:
        right = right_or_missing(cache, keys)
        assert right_or_missing(cache, keys) == right
        assert cache.stats().damaged == len(keys) - right > 0
        cache.flush()
        assert cache.stats().entries == right


def test_entries_that_were_moved_to_another_key_are_not_its_value(tmp_path):
    keys = filled(tmp_path, 2)
    with raw(tmp_path) as environment, environment.begin(write=True) as txn:
        (one, first), (two, second) = lines(txn, INDEX)
        txn.put(one, second)
        txn.put(two, first)
    with DiskCache(tmp_path, maxbytes="8MB") as cache:
        assert right_or_missing(cache, keys) == 0


@pytest.mark.parametrize("kind", [META, INDEX, DATA, DATA + b"\xff", b"\xff"])
def test_noise_in_the_tree_itself_harms_nothing(tmp_path, kind):
    keys = filled(tmp_path)
    draw = random.Random(7)
    with raw(tmp_path) as environment, environment.begin(write=True) as txn:
        for _ in range(300):
            noise = draw.randbytes(draw.choice([0, 1, 7, 8, 9, 16, 300]))
            txn.put(
                kind + noise, draw.choice([META + b"format", draw.randbytes(draw.choice([0, 9, 44, 99]))])
            )
    with DiskCache(tmp_path, maxbytes="100KB") as cache:
        right_or_missing(cache, keys)
        for number in range(300):
            cache[f"new-{number}"] = os.urandom(1000)
        cache.flush()
        assert len(list(cache)) > 0
        assert cache.expire() == 0
        cache.clear()
        cache["a"] = 1
        cache.flush()
        assert cache["a"] == 1


def test_damage_to_a_file_in_use_ends_in_an_empty_cache_not_in_an_exception(tmp_path, caplog):
    keys = filled(tmp_path)
    with caplog.at_level(logging.WARNING, "perfcore"), DiskCache(tmp_path, maxbytes="8MB") as cache:
        with (tmp_path / DATA_FILE).open("r+b") as file:
            file.seek(8192)
            file.write(bytes((tmp_path / DATA_FILE).stat().st_size - 8192))
        right_or_missing(cache, keys)
        for key in keys:
            cache.set(key, "again")
        cache.flush()
        cache["later"] = 1
        cache.flush()
        assert cache["later"] == 1
        assert cache.stats().errors > 0
    assert (tmp_path / DAMAGED).exists()


def test_a_clean_close_is_believed_and_everything_else_is_looked_over(tmp_path, monkeypatch):
    looked = []
    from perfcore.cache.disk import structure

    check = structure.check
    monkeypatch.setattr(structure, "check", lambda path: looked.append(path) or check(path))
    filled(tmp_path)
    filled(tmp_path)
    assert not looked
    shutil.copy(tmp_path / DATA_FILE, tmp_path / "copy")
    (tmp_path / "copy").rename(tmp_path / DATA_FILE)
    filled(tmp_path)
    assert len(looked) == 1
    with DiskCache(tmp_path, maxbytes="8MB") as cache:
        assert cache["key-1"]
        assert (tmp_path / "seal").exists()
        cache.set_many({"key-1": 1})
        assert not (tmp_path / "seal").exists()
    (tmp_path / "seal").unlink()  # as after a crash
    filled(tmp_path)
    assert len(looked) == 2


# --- time ---------------------------------------------------------------------------------------------------


def test_clock_jumps_lose_entries_at_most_and_never_lengthen_a_life(tmp_path, monkeypatch):
    now = clock.now_us()
    with DiskCache(tmp_path, maxbytes="8MB") as cache:
        cache.set_many({"a": 1}, ttl=100)
        monkeypatch.setattr(clock, "now_us", lambda: now - 10**12)
        assert cache["a"] == 1
        assert cache.expires_in("a") <= 100.1
        cache["b"] = 2
        cache.flush()
        assert cache["b"] == 2
        monkeypatch.setattr(clock, "now_us", lambda: now + 10**12)
        assert cache.get("a") is None
        assert cache["b"] == 2


# --- use and abuse ------------------------------------------------------------------------------------------


def test_closing_during_use_is_a_miss_for_the_others(tmp_path):
    cache = DiskCache(tmp_path, maxbytes="8MB")
    wrong, started = [], threading.Barrier(5)

    def use(seed):
        draw = random.Random(seed)
        started.wait()
        for _ in range(1500):
            key = draw.randrange(30)
            cache[key] = key
            if cache.get(key) not in (None, key):
                wrong.append(key)
            cache.get_many([1, 2, 3])
            if draw.random() < 0.05:
                cache.delete(key)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    started.wait()
    cache.close()
    cache.close()
    for thread in threads:
        thread.join()
    assert not wrong
    assert cache.get(1) is None
    assert len(cache) == 0
    assert cache.stats().errors == 0


def test_two_caches_on_one_directory_share_what_they_write_and_close_apart(tmp_path):
    one, two = (
        DiskCache(tmp_path, maxbytes="8MB"),
        DiskCache(tmp_path / "." / "", maxbytes="9MB", durability="sync"),
    )
    one["a"] = 1
    assert two["a"] == 1
    two["b"] = 2
    one.close()
    assert one.stats().entries == two.stats().entries
    assert two["b"] == 2
    two.close()
    with DiskCache(tmp_path, maxbytes="8MB") as cache:
        assert cache["a"], cache["b"] == (1, 2)


def test_a_cache_that_is_dropped_is_closed(tmp_path):
    cache = DiskCache(tmp_path, maxbytes="8MB")
    cache["a"] = 1
    del cache
    with DiskCache(tmp_path / "another", maxbytes="8MB"):
        pass
    with raw(tmp_path) as environment, environment.begin() as txn:
        assert len(lines(txn, DATA)) == 1


HOLDS_A_READER = """
import lmdb, sys
environment = lmdb.open(sys.argv[1], map_size=1 << 30, readonly=True, lib_version=0)
transaction = environment.begin()
transaction.get(b"any")
print("reading", flush=True)
sys.stdin.read()
"""


def test_a_map_filled_by_what_another_processes_reader_holds_grows_and_nothing_is_lost(tmp_path):
    draw = random.Random(7)
    with DiskCache(tmp_path, maxbytes="2MB", compression="off") as cache:
        cache["first"] = 1
        cache.flush()
        environment = cache._store.access.connection.environment
        size = environment.map_size
        with subprocess.Popen(
            [sys.executable, "-c", HOLDS_A_READER, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as reader:
            assert reader.stdout.readline() == b"reading\n"
            for number in range(120):  # 3 times the map: no page that is freed meanwhile can be used again
                value = draw.randbytes(100_000)
                cache.set_many({number % 4: value})
                assert cache[number % 4] == value
            assert environment.map_size > size, "LMDB has said MDB_MAP_FULL"
            reader.stdin.close()
        grown = environment.map_size
        for number in range(60):  # and now they are
            cache.set_many({number % 4: draw.randbytes(100_000)})
        assert environment.map_size == grown
        stats = cache.stats()
        assert (stats.dropped, stats.errors) == (0, 0)
        assert stats.entries >= 4
        assert cache.verify().structure is None
