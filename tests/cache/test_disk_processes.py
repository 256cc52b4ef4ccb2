"""Many processes on one directory: no wrong value, no acknowledged one lost, nobody waits for ever."""

import random
import statistics
import time

import pytest
from cache.actors import filler
from cache.processes import KILLS, run, started

from perfcore.cache import DiskCache


def killed_at_random(folder, durability, seed):
    """Return what a writer said before it was killed after a random time."""
    with started("write_until_killed", folder, durability, seed) as writer:
        first = writer.stdout.readline()
        time.sleep(random.Random(seed).uniform(0, 0.15))
        writer.kill()
        *whole, _torn = (first + writer.stdout.read()).split("\n")
        return [line.split() for line in whole]


@pytest.mark.parametrize("durability", ["relaxed", "commit"])
def test_a_killed_writer_leaves_only_what_it_wrote_and_nothing_acknowledged_is_lost(tmp_path, durability):
    newest = {}
    for seed in range(1, KILLS + 1):
        said = killed_at_random(tmp_path, durability, seed)
        begun = {int(number): key for word, number, key in said if word == "begin"}
        for word, number, key in said:
            if word in ("done", "gone"):
                newest[key] = int(number) if word == "done" else None
        unfinished = begun.get(max(begun))
        with DiskCache(tmp_path, maxbytes="4MB") as cache:
            assert cache.stats().damaged == 0
            for key in {*newest, *begun.values()}:
                value = cache.get(key)
                if value is not None:
                    assert value[0] == key
                    assert value[2] == filler(value[1])
                if durability == "commit" and key != unfinished and key in newest:
                    assert (None if value is None else value[1]) == newest[key]
                newest[key] = None if value is None else value[1]


def test_other_processes_see_a_put_within_50_ms(tmp_path):
    with DiskCache(tmp_path, maxbytes="4MB") as cache, started("tell_the_time", tmp_path, 20) as clock:
        last, delays, limit = None, [], time.monotonic() + 60
        while len(delays) < 15:
            assert clock.poll() in (None, 0) and time.monotonic() < limit
            now = cache.get("now")
            if now != last:
                delays.append(time.monotonic() - now)
                last = now
            time.sleep(0.0005)
    assert statistics.median(delays) < 0.05


def test_a_delete_is_seen_by_other_handles_when_it_returns(tmp_path):
    with DiskCache(tmp_path, maxbytes="4MB") as cache:
        cache.set_many({"a": 1, "b": 2, "c": 3})
        seen = (
            "import sys; from perfcore.cache import DiskCache; c = DiskCache(sys.argv[1]); print(sorted(c))"
        )
        import subprocess
        import sys

        cache.delete("a")
        assert (
            subprocess.check_output([sys.executable, "-c", seen, str(tmp_path)], text=True) == "['b', 'c']\n"
        )
        cache.clear()
        assert subprocess.check_output([sys.executable, "-c", seen, str(tmp_path)], text=True) == "[]\n"


def test_processes_that_churn_on_one_directory_all_finish_and_read_nothing_wrong(tmp_path):
    with (
        started("churn", tmp_path, 1, 3000) as one,
        started("churn", tmp_path, 2, 3000) as two,
        started("churn", tmp_path, 3, 3000) as three,
    ):
        assert [process.stdout.read() for process in (one, two, three)] == ["0 0 0 0\n"] * 3
        assert [process.wait() for process in (one, two, three)] == [0, 0, 0]
    with DiskCache(tmp_path, maxbytes="2MB") as cache:
        assert cache.stats().bytes <= 2 << 20


def test_a_value_is_computed_once_for_all_processes(tmp_path):
    with (
        started("compute_once", tmp_path, "k") as one,
        started("compute_once", tmp_path, "k") as two,
        started("compute_once", tmp_path, "k") as three,
    ):
        processes = (one, two, three)
        assert [process.stdout.readline() for process in processes] == ["ready\n"] * 3
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        assert sorted(process.stdout.readline() for process in processes) == ["0\n", "0\n", "1\n"]


def test_a_process_that_dies_computing_does_not_keep_the_others_waiting(tmp_path):
    with started("compute_once", tmp_path, "k") as first:
        assert first.stdout.readline() == "ready\n"
        first.stdin.write("go\n")
        first.stdin.flush()
        time.sleep(0.15)
        first.kill()
        with DiskCache(tmp_path, maxbytes="2MB") as cache:
            begin = time.monotonic()
            assert cache.get_or_set("k", lambda: "mine") == "mine"
            assert time.monotonic() - begin < 2


def test_a_fork_in_the_middle_of_everything_leaves_both_sides_working(tmp_path):
    assert run("fork_while_busy", tmp_path) == "[0, 0, 0, 0, 0] [0, 1, 2, 3, 4] 0"


def test_what_a_forked_child_has_written_is_not_lost_when_it_ends(tmp_path):
    assert run("fork_and_leave", tmp_path) == "0 1"


def test_what_was_written_last_is_not_lost_when_the_program_ends(tmp_path):
    run("leave_without_closing", tmp_path)
    with DiskCache(tmp_path, maxbytes="2MB") as cache:
        assert cache["last words"] == "written"


def test_a_file_that_another_process_lets_grow_is_mapped_anew(tmp_path):
    with DiskCache(tmp_path, maxbytes="64KB") as cache:
        cache.set_many({"mine": 1})
        mapped = cache._store.access.connection.environment.map_size
        run("outgrow_the_map", tmp_path)
        assert [cache[number] for number in range(200)] == [
            bytes([number]) * 100_000 for number in range(200)
        ]
        assert cache._store.access.connection.environment.map_size > mapped
        cache.set_many({"small": 2})
        assert cache.stats().bytes <= 64 << 10
        assert cache.stats().errors == 0


def test_readers_that_died_do_not_keep_their_slots(tmp_path):
    with DiskCache(tmp_path, maxbytes="2MB") as cache:
        cache.set_many({"a": 1})
        with started("hold_readers", tmp_path, 5) as readers:
            assert readers.stdout.readline() == "5\n"
        assert cache._store.access.connection.environment.drop_dead_readers() == 5


def test_too_many_readers_are_a_miss_and_no_longer_one_when_they_are_gone(tmp_path):
    with DiskCache(tmp_path, maxbytes="2MB") as cache:
        cache.set_many({"a": 1})
        cache._store.access.connection.environment.give_up_spare()
        with started("hold_readers", tmp_path, 10_000) as readers:
            assert int(readers.stdout.readline()) >= 1000
            assert cache.get("a") is None
            cache["b"] = 2
            assert cache["b"] == 2
            readers.kill()
            readers.wait()
            assert cache["a"] == 1
            assert cache.stats().errors > 0
