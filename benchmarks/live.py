"""A manager at work, to be looked at: ``python -m benchmarks.live [--port 9465] [--picture FILE]``.

Orders are loaded through memory, disk and a slow source by several threads: popular ones, then all of them in
turns, which no memory tier of this size likes, then a rest, then others that are popular. With ``--picture``
the page is opened in Chromium after a minute and what it shows is written to a file: the one in the README.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from perfcore import PerformanceManager
from perfcore.metrics import Timer
from perfcore.monitor import ThresholdRule

_THREADS = 3
_ORDERS = 3_000
_BYTES = 500
#: Seconds of popular orders, of orders in turns, and of rest; the rest of a minute is popular ones again.
_PHASES = (18.0, 16.0, 6.0, 20.0)


def keys(choice: random.Random, begun: float) -> Iterator[int | None]:
    """Yield the orders that are asked for, None while nobody asks."""
    number = choice.randrange(_ORDERS)
    while True:
        at = (time.monotonic() - begun) % sum(_PHASES)
        if at < _PHASES[0]:
            yield int(choice.paretovariate(0.7)) % _ORDERS
        elif at < sum(_PHASES[:2]):
            number = (number + 1) % _ORDERS
            yield number
        elif at < sum(_PHASES[:3]):
            yield None
        else:
            yield (int(choice.paretovariate(0.9)) + _ORDERS // 2) % _ORDERS


def source(order: int) -> bytes:
    """Load an order from where that takes long."""
    time.sleep(0.002)
    return order.to_bytes(4, "big") * (_BYTES // 4)


def work(manager: PerformanceManager, seed: int, begun: float, stop: threading.Event) -> None:
    timer = Timer("orders.load", "Loading an order.")
    for order in keys(random.Random(seed), begun):
        if stop.is_set():
            return
        if order is None:
            stop.wait(0.1)
            continue
        with timer:
            manager.cache.get_or_set(order, lambda order=order: source(order), ttl=30)
        if order % 50 == 0:
            manager.workers.submit(time.sleep, 0.02)
        time.sleep(0.0005)


def picture(url: str, path: Path) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1130})
        page.goto(url)
        page.locator("#memory polyline").first.wait_for(state="attached")
        page.wait_for_timeout(1500)
        path.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=path)
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=9465)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "caching": {"max_memory": "1MB", "layers": {"disk": {"enabled": True, "directory": folder}}},
            "monitoring": {"enabled": True, "interval": 0.5, "enable_alerts": True},
            "workers": {"enabled": True},
        }
        with PerformanceManager(settings) as manager:
            show(manager, options.port, options.picture)


def show(manager: PerformanceManager, port: int, path: Path | None) -> None:
    manager.alerts.add_rule(
        ThresholdRule(
            name="few hits",
            metric="application.caching.hit_rate",
            op="<",
            threshold=70,
            for_=3,
            message="only {value:.0f} % of the lookups are answered by memory",
        )
    )
    server = manager.serve(port=port, interval=0.5)
    begun, stop = time.monotonic(), threading.Event()
    threads = [threading.Thread(target=work, args=(manager, seed, begun, stop)) for seed in range(_THREADS)]
    for thread in threads:
        thread.start()
    try:
        if path is None:
            print(f"{server.url}  (Ctrl-C ends it)")
            threading.Event().wait()
        time.sleep(sum(_PHASES) - 2)
        picture(server.url, path)
    except KeyboardInterrupt:
        pass
    finally:
        stop.set()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
