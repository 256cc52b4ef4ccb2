"""While a service is too slow it leaves out what it can, and takes it up again."""

import logging
import time

import pytest

from perfcore import PerformanceManager
from perfcore.fastpath import FastPath

WATCHED = {
    "enabled": True,
    "interval": 60,
    "alerts": {"latency": {"threshold": 1, "action": "enable_fast_path"}},
}


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.01)


# --- the switch ---------------------------------------------------------------------------------------------


def test_it_is_taken_from_the_first_reason_to_the_last():
    path, calls = FastPath(), []
    path.add("a", lambda: calls.append("a off"), lambda: calls.append("a on"))
    path.add("b", lambda: calls.append("b off"), lambda: calls.append("b on"))
    path.enter("slow")
    path.enter("slow")
    path.enter("full")
    assert path and path.reasons == ("slow", "full") and calls == ["a off", "b off"]
    path.leave("slow")
    path.leave("unknown")
    assert path and calls == ["a off", "b off"]
    path.leave("full")
    assert not path and calls == ["a off", "b off", "b on", "a on"]


def test_a_shortcut_that_comes_while_it_is_taken_is_taken_at_once():
    path, calls = FastPath(), []
    with path.taken("slow"):
        path.add("late", lambda: calls.append("off"), lambda: calls.append("on"))
        assert calls == ["off"]
    assert calls == ["off", "on"]


def test_a_shortcut_that_fails_does_not_keep_the_others_from_being_taken(caplog):
    path, calls = FastPath(), []
    path.add("broken", lambda: 1 / 0, lambda: 1 / 0)
    path.add("sound", lambda: calls.append("off"), lambda: calls.append("on"))
    with caplog.at_level(logging.WARNING, "perfcore"), path.taken("slow"):
        assert calls == ["off"]
    assert calls == ["off", "on"]
    assert caplog.text.count("the shortcut broken failed") == 2


# --- in a manager -------------------------------------------------------------------------------------------


@pytest.fixture
def manager(tmp_path):
    layers = {"disk": {"directory": str(tmp_path / "cache")}}
    options = {"caching": {"layers": layers}, "enable_profiling": True}
    with PerformanceManager(options, monitoring=WATCHED | {"sampling_rate": 1}) as manager:
        yield manager


def test_lookups_look_no_further_than_memory(manager):
    manager.cache.set("below", 1, hot=False)
    with manager.fast_path.taken("slow"):
        assert manager.cache.get("below") is None
        assert manager.cache.get_many(["below"]) == [None]
        assert manager.cache.get_or_set("below", lambda: 2) == 1  # better than to compute
    manager.cache.set("below", 1, hot=False)
    assert manager.cache.get("below") == 1


async def test_so_do_those_on_an_event_loop(manager):
    await manager.cache.aset("below", 1, hot=False)
    with manager.fast_path.taken("slow"):
        assert await manager.cache.aget("below") is None
    assert await manager.cache.aget("below") == 1


def test_what_is_no_longer_fresh_is_served_and_what_is_invalid_is_not(manager):
    manager.cache.get_or_set("old", lambda: 1, ttl=0.02, stale_ttl=60, tags=["t"], soft_timeout=30)
    time.sleep(0.05)
    assert manager.cache.get("old") is None
    with manager.fast_path.taken("slow"):
        assert manager.cache.get("old") == 1
        manager.cache.invalidate_tags("t")
        assert manager.cache.get("old") is None


def test_a_stale_value_is_not_waited_for(manager):
    def slow():
        time.sleep(0.5)
        return 2

    manager.cache.get_or_set("old", lambda: 1, ttl=0.02, stale_ttl=60, soft_timeout=30)
    time.sleep(0.05)
    with manager.fast_path.taken("slow"):
        begun = time.monotonic()
        assert manager.cache.get_or_set("old", slow, ttl=60, stale_ttl=60, soft_timeout=30) == 1
        assert time.monotonic() - begun < 0.4
    wait_for(lambda: manager.cache.get("old") == 2)


def test_nothing_is_profiled(manager):
    profiled = manager.profiler.profiled(lambda: 1)
    with manager.fast_path.taken("slow"):
        profiled()
        manager.profiler.profile("name", int)
        manager.profiler.profiled(lambda: 2)()
        with manager.profiler.span("block"):
            pass
        assert manager.profiler.stats().samples == 0
    profiled()
    assert manager.profiler.stats().samples == 1


def test_an_alert_takes_it_and_its_end_leaves_it(manager):
    manager.alerts.replace_rules([])
    manager.reload(
        manager.config,
        monitoring=WATCHED | {"alerts": {"latency": {"threshold": 2, "action": "enable_fast_path"}}},
    )
    (rule,) = manager.alerts.rules()
    slow = {"application": {"parsing": {"average_response_time": 5.0}}}
    told = manager.alerts.evaluate(slow, 0.0, 0.0) + manager.alerts.evaluate(slow, 60.0, 60.0)
    (alert,) = [alert for alert in told if alert.state == "firing"]
    manager.alerts.actions.on_alert(alert)
    wait_for(lambda: manager.fast_path)
    assert manager.fast_path.reasons == (f"alert {rule.name}",)
    quick = {"application": {"parsing": {"average_response_time": 0.1}}}
    manager.alerts.evaluate(quick, 61.0, 61.0)
    (ended,) = manager.alerts.evaluate(quick, 600.0, 600.0) or manager.alerts.history()[-1:]
    assert ended.state == "resolved"
    manager.alerts.actions.on_alert(ended)
    wait_for(lambda: not manager.fast_path)


def test_the_status_says_that_it_is_taken_and_closing_leaves_it(manager):
    cache = manager.cache
    manager.fast_path.enter("slow")
    assert manager.status().parts["fast_path"].stats["reasons"] == ("slow",)
    assert cache.hurried
    manager.close()
    assert not cache.hurried
