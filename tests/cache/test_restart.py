"""What memory holds after a stop that was none: the hottest keys, with what the disk has for them."""

import gc
import threading
import time

import pytest
from cache.processes import started

from perfcore.cache import CacheManager, restart
from perfcore.cache.keys import encode_key

THREAD = "perfcore-hottest"


def opened(folder, **more):
    return CacheManager({"maxsize": 100, "policy": "lru"}, {"directory": folder, "maxbytes": "64MB"}, **more)


def noting():
    return [thread for thread in threading.enumerate() if thread.name == THREAD]


def note(manager):
    return restart.note(manager, manager._restart._tier, [])


def as_if_killed(manager):
    """Take from the disk what only a clean stop leaves there."""
    manager.flush()
    manager._restart._ended.set()
    manager._restart = None
    manager.close()


def test_the_hottest_keys_are_in_memory_after_a_kill(tmp_path):
    with started("serve_until_killed", tmp_path) as server:
        assert server.stdout.readline() == "noted\n"
        server.kill()
    with CacheManager({"maxsize": 200}, {"directory": tmp_path}) as manager:
        assert manager.get("only here") is None
        before = manager.stats().tiers["disk"].hits
        assert len(manager._memory) > 150
        assert manager.get_many(range(20)) == [{"number": number} for number in range(20)]
        assert manager.stats().tiers["disk"].hits == before


@pytest.mark.parametrize("namespace", ["", "shop"])
def test_they_come_back_in_their_order_with_the_time_they_have_left(tmp_path, namespace):
    manager = opened(tmp_path, namespace=namespace)
    for number in range(150):
        manager.set(number, str(number), ttl=60)
    manager.get(70)
    held = manager._memory.coldest(100)
    note(manager)
    as_if_killed(manager)
    with opened(tmp_path, namespace=namespace) as again:
        assert again._memory.coldest(100) == held
        assert again.get_many(range(50, 150)) == [str(number) for number in range(50, 150)]
        assert 50 < again._memory.expires_in(again._near(70)) <= 60


def test_what_was_changed_or_ended_since_does_not_come_back(tmp_path):
    manager = opened(tmp_path)
    manager.set_many(dict.fromkeys("abcd", "old"))
    manager.set("e", "old", tags=["t"])
    manager.set("f", "old", ttl=0.05)
    manager.set("g", "old", depends_on=["c"])
    note(manager)
    manager.set("a", "new")
    manager.delete("b")
    manager.invalidate("c")
    manager.invalidate_tags("t")
    as_if_killed(manager)
    time.sleep(0.06)
    with opened(tmp_path) as again:
        assert again.get_many("abcdefg") == ["new", None, None, "old", None, None, None]


def test_the_record_and_the_start_are_bounded(tmp_path, monkeypatch):
    manager = opened(tmp_path)
    manager.set_many({number: "x" * number for number in range(90)})
    monkeypatch.setattr(restart, "_KEYS", 50)
    assert note(manager) == [encode_key(number) for number in range(89, 39, -1)]
    monkeypatch.setattr(restart, "_SHARE", (64 << 20) // 30)  # 30 bytes of names
    assert 5 < len(note(manager)) < 20
    monkeypatch.undo()
    note(manager)
    as_if_killed(manager)
    monkeypatch.setattr(restart, "_GROUP", 10)
    monkeypatch.setattr(restart, "_PATIENCE", 0.0)
    with opened(tmp_path) as again:
        assert len(again._memory) <= 10


def test_names_that_have_not_changed_are_not_written_again(tmp_path):
    with opened(tmp_path, note_interval=None) as manager:
        manager.set("a", 1)
        manager.flush()
        tier = manager._restart._tier
        names = restart.note(manager, tier, [])
        manager.flush()
        writes = tier.stats().writes
        assert restart.note(manager, tier, names) == names
        manager.flush()
        assert tier.stats().writes == writes


@pytest.mark.parametrize("record", [5, (2, []), (1, 7), (1, [b"?"]), (1, ["a"]), (1, [1]), None])
def test_a_record_of_another_kind_is_ignored(tmp_path, record):
    manager = opened(tmp_path)
    manager.set("a", 1)
    tier = manager._restart._tier
    tier.put([restart.writing(tier, restart.place(manager, restart._RECORD), record)])
    as_if_killed(manager)
    with opened(tmp_path) as again:
        assert len(again._memory) == 0
        assert again.get("a") == 1


def test_a_clean_stop_needs_no_record(tmp_path):
    with opened(tmp_path, note_interval=None) as manager:
        manager.set("a", 1, persistent=False)
        assert not noting()
    with opened(tmp_path, note_interval=None) as again:
        assert again.get("a") == 1


def test_the_thread_ends_with_its_manager(tmp_path):
    with opened(tmp_path):
        assert len(noting()) == 1
    assert not noting()
    manager = opened(tmp_path)
    (thread,) = noting()
    del manager
    gc.collect()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_a_disk_that_fails_does_not_end_the_notes(tmp_path, monkeypatch, caplog):
    with opened(tmp_path, note_interval=0.01) as manager:
        manager.set("a", 1)
        failing = threading.Event()

        def fail(*_):
            failing.set()
            raise OSError("gone")

        with monkeypatch.context() as patch:
            patch.setattr(restart, "writing", fail)
            assert failing.wait(10)
        limit = time.monotonic() + 10
        while not manager._restart._noted and time.monotonic() < limit:
            time.sleep(0.01)
        assert manager._restart._noted == [encode_key("a")]
    assert "could not be noted" in caplog.text
