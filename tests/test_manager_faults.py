"""Parts that are slow, or fail to be built or to close, do not take the others with them.

The parts are stand-ins: a real one that fails or waits cannot be had on demand.
"""

import logging
import threading
import time
from dataclasses import replace

import pytest

from perfcore import ConfigError, PerformanceManager, assembly
from perfcore.parts import PARTS


class Recorder:
    """A part that notes when it is closed, and may fail to."""

    def __init__(self, name, log, error=None):
        self.name, self.log, self.error = name, log, error

    def close(self):
        self.log.append(self.name)
        if self.error is not None:
            raise self.error


@pytest.fixture
def parts(monkeypatch):
    """Return a function that replaces the parts: ``broken`` ones cannot be built, ``errors`` not closed."""

    def install(log, errors=(), broken=(), seconds=0.0):
        def build(part):
            def make(config, *needed):
                time.sleep(seconds)
                if part.name in broken:
                    raise broken[part.name]
                return Recorder(part.name, log, dict(errors).get(part.name))

            return make

        monkeypatch.setattr(
            assembly,
            "PARTS",
            [
                replace(part, wanted=lambda c: True, build=build(part))
                if part.name in ("memory", "disk", "cache", "parser")
                else replace(part, wanted=lambda c: False)
                for part in PARTS
            ],
        )

    return install


EAGER = {"optimization": {"enable_code_splitting": False}}


def test_parts_are_closed_in_the_opposite_order_also_when_some_fail(parts):
    log, errors = [], {"parser": RuntimeError("parser"), "memory": OSError("memory")}
    parts(log, errors)
    manager = PerformanceManager(EAGER).start()
    with pytest.raises(ExceptionGroup, match="parts of the manager failed to close") as caught:
        manager.close()
    assert log == ["parser", "cache", "disk", "memory"]
    assert list(caught.value.exceptions) == [errors["parser"], errors["memory"]]
    manager.close()
    assert len(log) == 4


def test_they_are_closed_in_the_order_of_their_use(parts):
    log = []
    parts(log)
    with PerformanceManager() as manager:
        _ = manager.parser, manager.memory
    assert log == ["memory", "parser"]


async def test_an_interrupt_while_closing_does_not_leave_the_other_parts_open(parts):
    log = []
    parts(log, {"parser": KeyboardInterrupt()})
    manager = await PerformanceManager(EAGER).initialize()
    with pytest.raises(BaseExceptionGroup) as caught:
        await manager.aclose()
    assert log == ["parser", "cache", "disk", "memory"]
    assert not isinstance(caught.value, ExceptionGroup)


def test_an_error_in_the_body_is_kept_when_closing_fails_too(parts):
    parts([], {"parser": RuntimeError("parser")})
    with pytest.raises(ExceptionGroup) as caught, PerformanceManager(EAGER):
        raise LookupError("body")
    assert isinstance(caught.value.__context__, LookupError)


def test_a_start_that_fails_closes_what_it_had_built(parts):
    log: list[str] = []
    parts(log, broken={"parser": ImportError("no grammar")})
    manager = PerformanceManager(EAGER)
    with pytest.raises(ImportError, match="no grammar"):
        manager.start()
    assert log == ["cache", "disk", "memory"]
    assert manager.status().state == "closed"


def test_a_part_that_failed_is_tried_again_and_the_status_tells(parts):
    broken = {"parser": ImportError("no grammar")}
    parts([], broken=broken)
    with PerformanceManager() as manager:
        with pytest.raises(ImportError):
            _ = manager.parser
        status = manager.status().parts["parser"]
        assert (status.state, status.detail) == ("failed", "ImportError: no grammar")
        broken.clear()
        assert isinstance(manager.parser, Recorder)
        assert manager.status().parts["parser"].state == "running"


def test_a_tier_that_failed_is_replaced_by_one_that_stores_nothing(parts, caplog):
    parts([], broken={"disk": OSError("no space left")})
    with caplog.at_level(logging.WARNING, "perfcore"), PerformanceManager() as manager:
        manager.disk.set("a", 1)
        assert manager.disk.get("a") is None
        status = manager.status()
        assert (status.parts["disk"].state, status.tiers) == ("failed", ("memory",))
    assert caplog.messages == ["going on without the disk tier: OSError: no space left"]


def test_a_part_that_refuses_its_options_is_a_configuration_error(parts):
    parts([], broken={"disk": ValueError("maxbytes must be at least 1 MB")})
    with (
        PerformanceManager() as manager,
        pytest.raises(ConfigError, match="the disk part cannot be built: maxbytes must be at least 1 MB"),
    ):
        _ = manager.disk


def test_a_tier_whose_package_is_missing_is_not_passed_over(parts):
    parts([], broken={"disk": ImportError("No module named 'lmdb'")})
    with PerformanceManager() as manager, pytest.raises(ImportError, match="lmdb"):
        _ = manager.disk


def test_threads_that_ask_at_once_for_a_part_that_takes_long_get_one(parts):
    parts(log := [], seconds=0.05)
    with PerformanceManager() as manager:
        found = []
        threads = [threading.Thread(target=lambda: found.append(manager.parser)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {id(part) for part in found} == {id(manager.parser)}
        assert len(found) == 8
    assert log == ["parser"]


# --- stopping in a bounded time -----------------------------------------------------------------------------


class Stuck(Recorder):
    """A part whose closing does not end before it is let."""

    def __init__(self, name, log, may_end):
        super().__init__(name, log)
        self.may_end = may_end

    def close(self):
        assert self.may_end.wait(60)
        super().close()


@pytest.fixture
def may_end():
    event = threading.Event()
    yield event
    event.set()


def test_a_part_that_hangs_while_closing_is_named_and_the_others_are_closed(parts, may_end):
    log: list[str] = []
    parts(log)
    manager = PerformanceManager(EAGER).start()
    manager._built["cache"] = Stuck("cache", log, may_end)
    begun = time.monotonic()
    with pytest.raises(BaseExceptionGroup) as caught:
        manager.close(timeout=0.2)
    assert time.monotonic() - begun < 20
    (error,) = caught.value.exceptions
    assert isinstance(error, TimeoutError) and str(error).startswith("cache was still closing")
    assert log == ["parser", "disk", "memory"]
    assert manager.status().state == "closed"


def test_in_time_a_deadline_changes_nothing(parts):
    log, errors = [], {"disk": OSError("disk")}
    parts(log, errors)
    manager = PerformanceManager(EAGER).start()
    with pytest.raises(ExceptionGroup) as caught:
        manager.close(timeout=60)
    assert log == ["parser", "cache", "disk", "memory"]
    assert list(caught.value.exceptions) == [errors["disk"]]


def test_workers_that_do_not_come_to_an_end_are_left_and_what_waits_is_cancelled(may_end):
    manager = PerformanceManager(workers={"pool": {"min": 1, "max": 1, "scaling": "fixed"}}).start()
    running = manager.workers.submit(may_end.wait, 60)
    while not running.running():
        time.sleep(0.001)
    waiting = manager.workers.submit(print, "never")
    with pytest.raises(BaseExceptionGroup) as caught:
        manager.close(timeout=0.2)
    (error,) = caught.value.exceptions
    assert isinstance(error, TimeoutError) and str(error).startswith("workers")
    assert waiting.cancelled() and not running.done()


def test_closing_during_a_start_waits_for_it_as_long_as_it_may(parts, may_end):
    log: list[str] = []
    parts(log)
    manager = PerformanceManager()
    begun = threading.Event()

    def build():
        with manager._lock:
            begun.set()
            may_end.wait(60)

    starting = threading.Thread(target=build)
    starting.start()
    assert begun.wait(60)
    with pytest.raises(TimeoutError, match="still starting"):
        manager.close(timeout=0.1)
    may_end.set()
    starting.join(60)
    manager.close(timeout=60)
    assert manager.status().state == "closed"


def test_a_part_that_cannot_begin_leaves_the_others_alone_and_is_tried_again(monkeypatch, caplog):
    from perfcore.monitor import MetricsCollector

    broken = [OSError("too many open files")]

    def start_collection(self, real=MetricsCollector.start_collection):
        if broken:
            raise broken[0]
        return real(self)

    monkeypatch.setattr(MetricsCollector, "start_collection", start_collection)
    with PerformanceManager(monitoring={"interval": 60}) as manager:
        status = manager.status().parts["monitor"]
        assert (status.state, status.detail) == ("failed", "OSError: too many open files")
        manager.memory["a"] = 1
        with pytest.raises(OSError, match="too many open files"):
            _ = manager.monitor
        broken.clear()
        assert manager.monitor.running
        assert manager.status().parts["monitor"].state == "running"
    assert "going on without the monitor: OSError: too many open files" in caplog.text
