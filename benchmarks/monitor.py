"""What watching costs: ``python -m benchmarks.monitor``.

Collectors, all on, in percent of one core, and what they add to a process that has numpy; a call that the
profiler lets pass, in empty calls; a sampled call, in what cProfile adds to a function that makes 1 000
calls; 1 000 alert rules a second; a scrape of 10 000 series, beside prometheus_client; a server's looks
at a manager, and its answers. Interleaved rounds, the best of each; the bars are those of the design.
"""

from __future__ import annotations

import cProfile
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection

from benchmarks.guard import ready
from perfcore.monitor import MetricsCollector, PerformanceAlerting, PerformanceProfiler, ThresholdRule

ROUNDS = 15

_MEMORY = """
import numpy, time
def rss():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
before = rss()
from perfcore.monitor import MetricsCollector
collector = MetricsCollector()
for _ in range(3600):
    collector.collect_now()
print(rss() - before)
"""


def best(**contestants: Callable[[], object]) -> dict[str, float]:
    """Return the least seconds of each, measured in turn."""
    found = dict.fromkeys(contestants, float("inf"))
    for _ in range(ROUNDS):
        for name, run in contestants.items():
            begun = time.perf_counter()
            run()
            found[name] = min(found[name], time.perf_counter() - begun)
    return found


def row(what: str, figure: float, bar: float, unit: str) -> str:
    return f"{what:58} {figure:8.2f} {unit:14} bar {bar:g}{'' if figure <= bar else '   MISSED'}"


def collectors() -> Iterator[str]:
    collector = MetricsCollector()
    for _ in range(60):
        collector.collect_now()
    before = collector.stats()
    for _ in range(300):
        collector.collect_now()
    after = collector.stats()
    share = 0.0
    for place, stats in after.items():
        took = (stats.seconds - before[place].seconds) / (stats.looks - before[place].looks)
        share += 100 * took / (5 if place == "system.disk" else 1)
    yield row("collectors, all on", share, 0.3, "% of a core")
    added = int(subprocess.run([sys.executable, "-c", _MEMORY], capture_output=True, check=True).stdout)
    yield row("collectors, an hour of history, beyond numpy", added / 2**20, 15, "MB")


def profiler() -> Iterator[str]:
    def empty(n: int) -> None:
        pass

    unsampled = PerformanceProfiler(0.0).profiled(empty)
    calls = range(200_000)

    def loop() -> None:
        for _ in calls:
            pass

    def bare() -> None:
        for _ in calls:
            empty(1)

    def watched() -> None:
        for _ in calls:
            unsampled(1)

    took = best(loop=loop, bare=bare, watched=watched)
    added = took["watched"] - took["bare"]
    yield row("an unsampled call adds, in empty calls in a loop", added / took["bare"], 2, "calls")
    yield row("the same, without the loop's own time", added / (took["bare"] - took["loop"]), 2, "calls")
    yield from sampled(empty)


def sampled(empty: Callable[[int], None]) -> Iterator[str]:
    def thousand() -> None:
        for _ in range(1000):
            empty(1)

    watched = PerformanceProfiler(1.0).profiled(empty)

    def under_profile() -> None:
        cProfile.Profile().runcall(thousand)

    def many() -> None:
        for _ in range(100):
            watched(1)

    took = best(bare=thousand, profiled=under_profile, many=many)
    adds = took["profiled"] - took["bare"]
    yield row("a sampled call, of what cProfile adds to 1 000 calls", took["many"] / 100 / adds, 0.1, "")
    yield f"{'':58} {took['many'] * 1e4:8.2f} us"


def alerts() -> Iterator[str]:
    rules = [ThresholdRule(name=f"rule {n}", metric=f"m{n}", threshold=90) for n in range(1000)]
    alerting, metrics = PerformanceAlerting(rules), {f"m{n}": 50.0 for n in range(1000)}
    took = best(check=lambda: alerting.check_alerts(metrics))["check"]
    yield row("1 000 alert rules each second", 100 * took, 2, "% of a core")
    yield from storm(alerting)


def storm(alerting: PerformanceAlerting) -> Iterator[str]:
    """All thousand rules fire and end, again and again, with a handler: what 100 000 alerts take."""
    alerting.add_handler(lambda alert: None)
    high, low = ({f"m{n}": level for n in range(1000)} for level in (95.0, 10.0))

    def flap() -> None:
        alerting.check_alerts(high)
        alerting.check_alerts(low)

    yield row("a storm of 100 000 alerts each second", 100 * 50 * best(flap=flap)["flap"], 100, "% of a core")
    alerting.close()


def scrape() -> Iterator[str]:
    try:
        import prometheus_client as client
    except ImportError:
        yield "(prometheus_client is not installed: pip install 'perfcore[prometheus]')"
        return
    from perfcore.metrics import Counter, Registry
    from perfcore.metrics.exposition import prometheus_text

    ours, theirs = Registry(max_series=10_000), client.CollectorRegistry()
    mine = Counter("requests", "Requests.", labels=["path"], registry=ours)
    other = client.Counter("requests", "Requests.", ["path"], registry=theirs)
    for n in range(10_000):
        mine.labels(f"/{n}").inc(n)
        other.labels(f"/{n}").inc(n)
    took = best(ours=lambda: prometheus_text(ours.snapshot()), theirs=lambda: client.generate_latest(theirs))
    yield row("a scrape of 10 000 series, of prometheus_client's", took["ours"] / took["theirs"], 0.25, "")
    yield f"{'':58} {took['ours'] * 1e3:8.2f} ms, {took['theirs'] * 1e3:.2f} ms"


def serving() -> Iterator[str]:
    from perfcore import PerformanceManager
    from perfcore.monitor.serve.watch import Watch
    from perfcore.serving import sources

    with (
        tempfile.TemporaryDirectory() as folder,
        PerformanceManager(
            caching={"max_memory": "8MB", "layers": {"disk": {"enabled": True, "directory": folder}}},
            monitoring={"enabled": True, "enable_alerts": True},
            workers={"enabled": True},
        ) as manager,
    ):
        manager.cache.get_or_set("a", lambda: 1)
        manager.workers.submit(abs, -1).result()
        watch = Watch(sources(manager), interval=2.0, span=900.0)
        look = best(look=watch.look)["look"]
        server = manager.serve(port=0, interval=2.0)
        client = HTTPConnection(server.host, server.port)

        def ask() -> None:
            client.request("GET", "/live.json")
            client.getresponse().read()

        took = best(ask=ask)["ask"]
        client.close()
    yield row("a server's looks at a manager, each 2 s", 100 * look / 2, 0.1, "% of a core")
    yield f"{'':58} {look * 1e3:8.2f} ms a look; {took * 1e3:.2f} ms an answer, its client included"


def main() -> None:
    ready()
    for part in (collectors, profiler, alerts, scrape, serving):
        for line in part():
            print(line)


if __name__ == "__main__":
    main()
