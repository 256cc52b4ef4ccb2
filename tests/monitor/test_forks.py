"""A fork at any moment: the child hangs at no lock, and measures and tells by itself."""

import os
import signal
import threading
import time

import pytest
from effort import effort

from perfcore import PerformanceManager
from perfcore.monitor import MetricsCollector, PerformanceAlerting, ProcessCollector, ThresholdRule

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

BUSY = ThresholdRule(name="busy", metric="cpu", threshold=90)


def child_says(work, seconds=20.0):
    """Run ``work()`` in a forked child; return what it returned as text, and fail if it hangs or raises."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(int(seconds))
            os.write(writing, str(work()).encode())
        except BaseException as error:
            os.write(writing, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, f"the child was ended by signal {os.WTERMSIG(status)}: it hung"
    return said


def wait_for(true, seconds=20.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.005)
    return True


class Held:
    """Holds something in another thread while the block runs."""

    def __init__(self, holding):
        self.holding, self.inside, self.leave = holding, threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        with self.holding:
            self.inside.set()
            self.leave.wait()

    def __enter__(self):
        self.thread.start()
        self.inside.wait()

    def __exit__(self, *error):
        self.leave.set()
        self.thread.join()


def test_a_child_checks_alerts_though_another_thread_was_just_checking():
    told = []
    alerting = PerformanceAlerting([BUSY], handlers=[told.append])
    with Held(alerting._lock):

        def work():
            alerting.check_alerts({"cpu": 95})
            alerting.add_rule(ThresholdRule(name="idle", metric="cpu", threshold=5, op="<"))
            alerting.close()
            return [alert.rule for alert in told], alerting.firing()

        assert child_says(work) == "(['busy'], ['busy'])"
    assert alerting.firing() == [] and told == [], "and its parent is its parent"


@pytest.mark.parametrize("ask", ["stats", "close"])
def test_a_child_may_ask_for_and_end_handlers_that_were_busy_in_its_parent(ask):
    go = threading.Event()
    alerting = PerformanceAlerting([BUSY], handlers=[lambda alert: go.wait()])
    alerting.check_alerts({"cpu": 95})
    (lane,) = alerting._lanes.values()
    with Held(lane._changed):

        def work():
            begun = time.monotonic()
            getattr(alerting, ask)()
            return alerting.stats()[lane._name].waiting, time.monotonic() - begun < 4

        assert child_says(work) == "(0, True)"
    go.set()
    alerting.close()


def test_many_forks_while_rules_are_held_and_changed():
    alerting = PerformanceAlerting([BUSY], handlers=[lambda alert: None])
    stop = threading.Event()

    def busy(name):
        level = 0
        while not stop.is_set():
            level = 95 - level
            alerting.check_alerts({"cpu": level})
            alerting.add_rule(ThresholdRule(name=name, metric="cpu", threshold=level))
            alerting.remove_rule(name)

    threads = [threading.Thread(target=busy, args=(name,)) for name in ("one", "other")]
    for thread in threads:
        thread.start()
    try:
        for _ in range(effort(40)):
            assert child_says(lambda: len(alerting.check_alerts({"cpu": 95})) <= 3) == "True"
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        alerting.close()


def test_a_collector_that_is_to_goes_on_in_children_of_children():
    with MetricsCollector([ProcessCollector(0.05)], in_children=True) as collector:

        def measured():
            before = collector.stats()["system.process"].looks
            return wait_for(lambda: collector.stats()["system.process"].looks > before + 1)

        said = child_says(lambda: (collector.running, measured(), child_says(measured)))
        assert said == "(True, True, 'True')"
        assert measured()
    assert child_says(lambda: collector.running) == "False", "what was stopped stays stopped"


def test_a_child_measures_itself_and_its_first_look_is_a_gap():
    collector = MetricsCollector(in_children=True)
    collector.collect_now()

    def work():
        collector.collect_now()
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass
        return collector.get_metrics().system.process.cpu_usage

    assert child_says(work) == "None", "its CPU time began anew"


def test_a_managers_child_watches_by_itself():
    settings = {"enabled": True, "interval": 0.05, "enable_alerts": True}
    with PerformanceManager(monitoring=settings) as manager:
        told = []
        manager.alerts.add_handler(told.append)
        manager.alerts.add_rule(ThresholdRule(name="any", metric="system.memory.used", threshold=1))
        wait_for(lambda: told)

        def work():
            told.clear()
            manager.alerts.replace_rules(
                [ThresholdRule(name="new", metric="system.memory.used", threshold=1)]
            )
            wait_for(lambda: told)
            return manager.monitor.running, told[0].rule, manager.get_metrics().system.process.threads >= 2

        assert child_says(work) == "(True, 'new', True)"
        assert manager.monitor.running
