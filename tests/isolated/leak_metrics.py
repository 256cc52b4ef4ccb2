"""A million operations of each kind on metrics, in thirty rounds."""

import asyncio
import gc
import threading

import numpy as np
from flat import insist_flat

from perfcore.metrics import Counter, EventQueue, Gauge, Histogram, Registry, SampleRing, Timer

EACH = 34_000  # thirty rounds of these are a million

registry = Registry()
counter, gauge = Counter("counter", registry=registry), Gauge("gauge", registry=registry)
histogram, timer = Histogram("histogram", registry=registry), Timer("timer", registry=registry)
labelled = Counter("labelled", labels=["x"], registry=registry)
total = Histogram("total", registry=registry)
ring, queue = SampleRing(1024), EventQueue(1024)
values = np.arange(100, dtype=np.float64)


@timer
def timed():
    pass


@timer
async def timed_later():
    pass


def instruments():
    for i in range(EACH):
        counter.inc(), counter.inc(0.5), counter.inc(2**40)
        gauge.set(i), gauge.inc(), gauge.dec(i * 0.5)
        histogram.observe(i), histogram.observe(i * 1e-9)
        labelled.labels(i % 2000).inc()  # most of them beyond the bound
        labelled.labels(x=i % 50).inc()
        try:
            counter.inc(-1)
        except ValueError:
            pass


def timers():
    for _ in range(EACH):
        with timer:
            pass
        with timer.time():
            pass
        timed()


def series():
    for i in range(EACH):
        ring.put(i, 0.5), ring.put_at(i, 1, 2.0)
        queue.put([i]), queue.get()
        queue.put((i,))
        if i % 300 == 0:
            ring.snapshot(), ring.drain(), queue.drain()
    for _ in range(EACH // 100):
        ring.put_many(1, values)
        histogram.observe_many(values)


def readers():
    """A million of these would take minutes: each is hundreds of words."""
    for _ in range(EACH // 100):
        snapshot = histogram.snapshot()
        total.merge(snapshot), total.merge(histogram)
        snapshot.quantile(0.9), (snapshot + snapshot) - snapshot, histogram.quantile(0.5), bytes(snapshot)
    for _ in range(10):
        registry.snapshot()


def lives():
    """What is made and goes again. A histogram has 18 KB a shard and is in a cycle: few may be dead."""
    for i in range(EACH // 100):
        if i % 40 == 0:
            gc.collect()
        own = Registry()
        Counter("c", labels=["x"], registry=own).labels(i).inc()
        with Timer("t", registry=own):
            Histogram("h", registry=own).observe(i)
        SampleRing(64).put(1, i)
        EventQueue(64).put([i])


async def later():
    for _ in range(EACH // 30):
        async with timer:
            pass
        await timed_later()


def step():
    threads = [threading.Thread(target=work) for work in (instruments, timers, series, readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lives()
    asyncio.run(later())


insist_flat(step)
