"""Cache managers when things go wrong: forks, threads, closing, disks that cannot be had, restarts."""

import random
import threading
import time
from contextlib import ExitStack

import pytest
from cache.actors import works_in_memory
from cache.processes import run, started
from effort import effort

from perfcore.cache import Cache, CacheManager, DiskCache


def options(folder, **more):
    return {"memory": {"maxsize": 1000}, "disk": {"directory": folder, "maxbytes": "64MB"}, **more}


# --- processes ----------------------------------------------------------------------------------------------


def test_another_process_is_told_of_puts_removals_and_tags(tmp_path):
    with CacheManager(**options(tmp_path)) as manager, started("answer_for_tiers", tmp_path) as other:

        def ask(verb, *words):
            other.stdin.write(" ".join([verb, *words]) + "\n")
            other.stdin.flush()
            return other.stdout.readline().strip()

        assert other.stdout.readline() == "ready\n"
        for key in "abcd":
            manager.set(key, f"{key}1", tags=["t"] if key in "cd" else ())
        manager.set("e", "e1", depends_on=["a"])
        manager.flush()
        assert [ask("get", key) for key in "abcde"] == ["a1", "b1", "c1", "d1", "e1"]
        manager.delete("b")
        assert ask("get", "b") == "None"
        manager.invalidate_tags("t")
        assert [ask("get", key) for key in "cd"] == ["None", "None"]
        manager.set("a", "a2")
        manager.flush()
        assert [ask("get", key) for key in "ae"] == ["a2", "None"]
        assert ask("set", "a", "a3") == "done"
        limit = time.monotonic() + 5
        while manager.get("a") != "a3":
            assert time.monotonic() < limit
        ask("tag", "x", "u")
        ask("flush")
        assert manager.get("x") == "tagged"
        ask("untag", "u")
        assert manager.get("x") is None


def test_processes_that_churn_through_managers_never_read_what_was_removed(tmp_path):
    with (
        started("churn_tiers", tmp_path, 1, effort(300)) as one,
        started("churn_tiers", tmp_path, 2, effort(300)) as two,
    ):
        assert [process.stdout.readline().strip() for process in (one, two)] == ["0", "0"]


def test_a_killed_writer_leaves_memory_of_others_right(tmp_path):
    with CacheManager(**options(tmp_path)) as manager:
        for _ in range(5):
            manager.set("killed", 0)
            manager.flush()
            with started("write_tiers_until_killed", tmp_path) as other:
                other.stdout.readline()
                time.sleep(random.random() / 20)
            manager.set("poke", 1)  # a commit by anybody makes up for a word that the killed one did not move
            manager.flush()
            near = manager.get("killed")
            manager._memory.clear()
            assert manager.get("killed") == near


@pytest.mark.parametrize("hows", [("sync",) * 3, ("async",) * 3, ("sync", "async")], ids="-".join)
def test_of_all_processes_one_computes_and_one_refreshes(tmp_path, hows):
    with ExitStack() as stack:
        processes = [stack.enter_context(started("compute_in_turn", tmp_path, how)) for how in hows]
        for _ in range(2):
            assert [process.stdout.readline() for process in processes] == ["ready\n"] * len(hows)
            for process in processes:
                process.stdin.write("go\n")
                process.stdin.flush()
            said = [process.stdout.readline() for process in processes]
            assert sorted(said) == ["0\n"] * (len(hows) - 1) + ["1\n"]
            time.sleep(0.6)  # then it is stale


def test_a_forked_child_and_its_parent_go_on_and_see_each_other(tmp_path):
    assert run("fork_tiers", tmp_path) == "good"


# --- threads and closing ------------------------------------------------------------------------------------


def test_memory_and_disk_agree_after_threads_have_written_the_same_keys(tmp_path):
    with CacheManager(**options(tmp_path)) as manager:

        def hammer(seed):
            draw = random.Random(seed)
            for _ in range(effort(400)):
                key = draw.randrange(5)
                kind = draw.randrange(10)
                if kind == 0:
                    manager.delete(key)
                elif kind < 5:
                    manager.set(key, draw.random())
                else:
                    manager.get(key)

        threads = [threading.Thread(target=hammer, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        near = [manager.get(key) for key in range(5)]
        manager._memory.clear()
        assert [manager.get(key) for key in range(5)] == near


def test_closing_while_others_use_it_leaves_them_with_misses(tmp_path):
    manager = CacheManager(**options(tmp_path))
    errors, stop = [], threading.Event()

    def use(seed):
        draw = random.Random(seed)
        try:
            while not stop.is_set():
                key = draw.randrange(20)
                manager.set(key, key, tags=["t"])
                assert manager.get(key) in (None, key, 1)
                manager.get_many(range(5))
                manager.delete(key)
                manager.get_or_set(key, lambda: 1, ttl=5)
                manager.invalidate_tags("t")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    manager.close()
    time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []
    manager.close()


def test_a_listener_may_use_the_manager(tmp_path):
    seen = []
    memory = Cache(
        2, policy="lru", on_remove=lambda key, value, cause: seen.append(manager.get(("gone", key), 0))
    )
    manager = CacheManager(memory, {"directory": tmp_path}, warm_restart=False)
    for number in range(10):
        manager.set(number, number)
    assert seen == [0] * 8
    manager.close()


# --- disks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inside", ["", "disk"], ids=["itself", "its parent"])
def test_a_directory_that_may_not_be_written_to_leaves_memory(tmp_path, inside):
    tmp_path.chmod(0o500)
    try:
        assert run("work_in_memory", tmp_path / inside, unprivileged=True) == "not ok"
    finally:
        tmp_path.chmod(0o700)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_leaves_memory(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with CacheManager(**options(tmp_path / "file" / "disk")) as manager:
        works_in_memory(manager)
        assert not manager.health()["disk"].ok


def test_a_disk_that_comes_back_is_used_again(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with CacheManager(**options(tmp_path / "file" / "disk")) as manager:
        manager.set("a", 1)
        (tmp_path / "file").unlink()
        (tmp_path / "file").mkdir()
        limit = time.monotonic() + 20
        while not manager.health()["disk"].ok or "disk" not in manager.explain("b").below:
            manager.set("b", 2)
            time.sleep(0.05)
            assert time.monotonic() < limit
        with CacheManager(**options(tmp_path / "file" / "disk", warm_restart=False)) as other:
            assert other.get("b") == 2
            other.set("b", 3)
            other.flush()
            assert manager.get("b") == 3


def test_stored_conditions_that_make_no_sense_are_a_miss(tmp_path):
    with DiskCache(tmp_path, maxbytes="64MB") as disk, CacheManager(disk=disk) as manager:
        mark = "\x9dperfcore guarded"
        for conditions in (5, (), (1, 2), ((1,), (), 0, None), ((), (5,), 0, None), ((), (), "soon", None)):
            disk["a"] = (mark, conditions, "value")
            disk.flush()
            assert manager.get("a") is None
            assert manager.get_many(["a"]) == [None]
            assert manager.get_or_set("a", lambda: 1) == 1
            manager.delete("a")


# --- restarts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["lru", "lfu", "random", "adaptive"])
def test_memory_is_as_it_was_after_a_clean_stop(tmp_path, policy):
    memory = {"maxsize": 500, "policy": policy}
    with CacheManager(memory, {"directory": tmp_path}) as manager:
        for number in range(700):
            manager.set(number, {"number": number}, ttl=60 if number % 2 else None, persistent=number % 3 > 0)
        for number in range(200, 300):
            manager.get(number)
        held = manager._memory.coldest(500)
        left = {key: manager.explain(key).memory.expires_in for key in held}
    with CacheManager(memory, {"directory": tmp_path}) as manager:
        assert manager._memory.coldest(500) == held
        assert manager.stats().memory.misses == 0
        for key in held:
            now = manager.explain(key).memory.expires_in
            assert (now is None) is (left[key] is None)
            assert now is None or left[key] - 20 < now <= left[key]
            assert manager.get(key) == {"number": key}
        manager._memory._check()


def test_what_was_changed_while_stopped_does_not_come_back(tmp_path):
    with CacheManager(**options(tmp_path)) as manager:
        for key in "abcd":
            manager.set(key, "old", tags=["t"] if key == "d" else (), persistent=key != "c")
    with CacheManager(**options(tmp_path, warm_restart=False)) as other:
        other.set("a", "new")
        other.invalidate("b", "c")
        other.invalidate_tags("t")
    with CacheManager(**options(tmp_path)) as manager:
        assert manager.get_many("abcd") == ["new", None, None, None]


def test_a_file_that_was_changed_while_stopped_ends_what_depends_on_it(tmp_path):
    file = tmp_path / "file"
    file.write_text("1")
    with CacheManager(**options(tmp_path / "disk")) as manager:
        manager.set("a", 1, depends_on=file)
        manager.set("b", 1, depends_on=file, persistent=False)
    file.write_text("longer")
    with CacheManager(**options(tmp_path / "disk")) as manager:
        assert manager.get_many("ab") == [None, None]


def test_time_while_stopped_counts(tmp_path):
    with CacheManager(**options(tmp_path)) as manager:
        manager.set("a", 1, ttl=0.2, persistent=False)
        manager.set("b", 1, ttl=60, persistent=False)
    time.sleep(0.25)
    with CacheManager(**options(tmp_path)) as manager:
        assert manager.get_many("ab") == [None, 1]


def test_what_cannot_be_stored_is_left_out(tmp_path):
    with CacheManager(**options(tmp_path)) as manager:
        manager.set("a", object(), persistent=False)
        manager.set("b", 1, persistent=False)
    with CacheManager(**options(tmp_path)) as manager:
        assert manager.get_many("ab") == [None, 1]


def test_a_snapshot_serves_one_start(tmp_path):
    with CacheManager(**options(tmp_path)) as manager:
        manager.set("a", 1, persistent=False)
    with CacheManager(**options(tmp_path)) as manager, CacheManager(**options(tmp_path)) as second:
        assert (manager.get("a"), second.get("a")) == (1, None)


def test_named_keys_are_warm_at_the_start_and_a_hook_may_do_as_it_likes(tmp_path):
    with CacheManager(**options(tmp_path, warm_restart=False)) as manager:
        manager.set_many({"a": 1, "b": 2, "c": 3})
    for warmup in ("eager", lambda manager: manager.warm("ab")):
        with CacheManager(**options(tmp_path, warm_restart=False, warmup=warmup, warm_keys="ab")) as manager:
            assert sorted(manager._memory) == ["a", "b"]
    with CacheManager(**options(tmp_path, warm_restart=False)) as manager:
        assert len(manager._memory) == 0
        assert manager.warm(["a", "none"]) == 1
