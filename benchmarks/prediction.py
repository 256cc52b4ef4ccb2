"""What prediction gains on traces: ``python -m benchmarks.prediction [--folder DIR] [--traces NAME ...]``.

Each trace (``NAME.u32.zst``; the folder is ``--folder``, else ``PERFCORE_TRACES``, else ``../shared/traces``)
is replayed on an LRU of a tenth of its keys, in which predicted keys arrive 50 requests (``--delay``) after
they were predicted; what is asked for earlier is a miss. Ids are names: only their order in time is used.
Printed are, in per cent, LRU's misses, and for each method by how much it reduces them, its precision (used
in time, of what was loaded) and its coverage (used, of LRU's misses):

* ``perfcore``: ``PredictiveCaching`` over a ``Cache(policy="lru")``, by its public methods;
* ``next``: first-order Markov: what came after a key comes again; ``next 51``: the same, 51 requests later,
  when it can have been loaded;
* ``window``: windowed association of 10 requests, as in the notes, the best that is simple.

Then the cost of a request to the native predictor, and what circumstances add where requests have any.
"""

import argparse
import os
import random
from collections import OrderedDict, deque
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import mean
from time import perf_counter
from typing import NamedTuple

import numpy as np
import zstandard

from benchmarks.hit_ratio import SHARED
from perfcore._native.predict import Predictor
from perfcore.cache import Cache
from perfcore.cache.predictive import AccessContext, Limits, PredictiveCaching

UNLIMITED = Limits(rate=1e9, concurrency=1_000_000, max_bytes=1 << 50, timeout=1e9)
BASELINES = ("next", "next 51", "window")


class Result(NamedTuple):
    misses: int
    issued: int
    used: int
    paused: int = 0


def read(folder, name):
    with (folder / f"{name}.u32.zst").open("rb") as file:
        return np.frombuffer(zstandard.ZstdDecompressor().stream_reader(file).read(), "<u4")


# --- perfcore -----------------------------------------------------------------------------------------------


class Later:
    """A pool whose tasks run a number of requests later."""

    def __init__(self, delay):
        self.delay, self.now, self.waiting = delay, 0, deque()

    def submit(self, call, /, *, priority):
        assert priority == "low"
        self.waiting.append((self.now + self.delay, call))

    def advance(self):
        self.now += 1
        while self.waiting and self.waiting[0][0] < self.now:
            self.waiting.popleft()[1]()


def perfcore(trace, capacity, delay):
    cache, pool = Cache(capacity, policy="lru"), Later(delay)
    predictive = PredictiveCaching(cache, pool=pool, limits=UNLIMITED, loader=lambda key: key)
    record, preload, advance, get = (
        predictive.record, predictive.preload_predicted_data, pool.advance, cache.get,
    )  # fmt: skip
    misses = 0
    for key in trace:
        advance()
        hit = get(key) is not None
        record(key, hit=hit)
        if not hit:
            misses += 1
            cache[key] = key
        preload()
    stats = predictive.stats().sources["association"]
    return Result(misses, stats.issued, stats.used)


# --- baselines: one LRU with loads under way, and what is to be predicted after each request ----------------


def replay(trace, capacity, delay, predict):
    """Play a trace; ``predict(now, key)`` names the keys to be loaded."""
    lru, flying, waiting = OrderedDict(), set(), deque()
    misses = issued = used = 0

    def put(key, fresh):
        if len(lru) >= capacity:
            lru.popitem(last=False)
        lru[key] = fresh

    for now, key in enumerate(trace):
        while waiting and waiting[0][0] <= now:
            loaded = waiting.popleft()[1]
            flying.discard(loaded)
            if loaded not in lru:
                put(loaded, True)
        if key in lru:
            used += lru.pop(key)
            lru[key] = False
        else:
            misses += 1
            put(key, False)
        for wanted in predict(now, key):
            if wanted not in lru and wanted not in flying:
                issued += 1
                flying.add(wanted)
                waiting.append((now + delay, wanted))
    return Result(misses, issued, used)


class Row:
    """How often a key came, and what came with it; both halved at 64, as in the notes."""

    __slots__ = ("after", "count")

    def __init__(self):
        self.count, self.after = 0, {}

    def add(self, key, most):
        if key in self.after or len(self.after) < most:
            self.after[key] = self.after.get(key, 0) + 1
        else:
            least = min(self.after, key=self.after.__getitem__)
            if self.after[least] <= 1:
                del self.after[least]
                self.after[key] = 1

    def visit(self):
        self.count += 1
        if self.count >= 64:
            self.count //= 2
            self.after = {key: count // 2 for key, count in self.after.items() if count > 1}

    def best(self):
        if self.count < 2:
            return ()
        sure = [key for key, count in self.after.items() if count >= 2 and count > 0.7 * self.count]
        return islice(sorted(sure, key=self.after.__getitem__, reverse=True), 10)


def markov(distance):
    rows, recent = OrderedDict(), deque(maxlen=distance)

    def predict(now, key):
        if len(recent) == distance and (row := rows.get(recent[0])) is not None:
            row.add(key, 8)
        row = row_of(rows, key)
        found = row.best()
        row.visit()
        recent.append(key)
        return found

    return predict


def row_of(rows, key):
    row = rows.get(key)
    if row is None:
        row = rows[key] = Row()
        if len(rows) > 60_000:
            rows.popitem(last=False)
    return row


def window(width=10):
    rows, recent = OrderedDict(), deque(maxlen=width)

    def predict(now, key):
        for other in set(recent):
            if other != key and (row := rows.get(other)) is not None:
                row.add(key, 24)
        row = row_of(rows, key)
        found = row.best()
        row.visit()
        recent.append(key)
        return found

    return predict


# --- the table ----------------------------------------------------------------------------------------------


def measure(folder, name, delay, baselines):
    """Return for one trace its requests, its keys, LRU's misses and the result of each method."""
    ids = read(folder, name)
    capacity, keys = max(len(np.unique(ids)) // 10, 1), len(np.unique(ids))
    trace = ids.tolist()
    plain = replay(trace, capacity, delay, lambda now, key: ())
    results = {"perfcore": perfcore(trace, capacity, delay)}
    if baselines:
        results["next"] = replay(trace, capacity, delay, markov(1))
        results["next 51"] = replay(trace, capacity, delay, markov(delay + 1))
        results["window"] = replay(trace, capacity, delay, window())
    return name, len(trace), keys, plain, results


def reduction(plain, result):
    return 100 * (1 - result.misses / plain.misses)


def print_row(name, requests, keys, plain, results):
    print(f"{name:28}{requests:>9}{keys:>8}{100 * plain.misses / requests:7.2f} ", end="")
    for result in results.values():
        precision = f"{100 * result.used / result.issued:6.1f}" if result.issued else f"{'-':>6}"
        print(f"|{reduction(plain, result):7.2f}{precision}{100 * result.used / plain.misses:6.1f} ", end="")
    print(flush=True)


def print_summary(rows):
    telling = [row for row in rows if any(reduction(row[3], r) >= 5 for r in row[4].values())]
    print(f"\ntraces where any method reaches 5 %: {len(telling)} of {len(rows)}")
    for method in rows[0][4]:
        issued, used = (sum(getattr(row[4][method], part) for row in rows) for part in ("issued", "used"))
        worst = max(100 * (row[4][method].misses - row[3].misses) / row[1] for row in rows)
        gain = mean(reduction(row[3], row[4][method]) for row in telling) if telling else 0.0
        precision = f"{used / issued:.3f}" if issued else "-"
        print(f"{method:10} mean reduction of misses there {gain:6.2f} %   precision over all {precision}   "
              f"worst trace {worst:+.3f} points of misses")  # fmt: skip


# --- cost, and circumstances --------------------------------------------------------------------------------


def cost(folder, name, requests=400_000):
    """Nanoseconds that a request costs the native predictor, once it knows as many: less an empty loop."""
    ids = read(folder, name)
    keys, ids = len(np.unique(ids)), ids[: 2 * requests].tolist()
    first, second = ids[: len(ids) // 2], ids[len(ids) // 2 :]
    predictor = Predictor(max(keys // 10, 1))
    for key in first:
        predictor.record(key, None, False)
    begin = perf_counter()
    for key in second:
        predictor.record(key, None, False)
    took = perf_counter() - begin
    begin = perf_counter()
    for key in second:
        abs(key)
    return 1e9 * (took - (perf_counter() - begin)) / len(second)


def office(days, seed=1):
    """Requests of an office: people come in, each role with its own pages first, and then go on by chance."""
    chance = random.Random(seed)
    roles = {role: [f"{role} {i}" for i in range(12)] for role in ("audit", "sales", "support", "builds")}
    for day in range(days):
        for role in chance.sample(list(roles), 4):
            circumstances = AccessContext(user_type=role, client=(day, role))
            yield None, circumstances  # somebody has logged in, and is about to begin
            for key in chance.sample(roles[role], 10):
                yield key, circumstances
            for _ in range(200):
                yield f"page {chance.randrange(20_000)}", AccessContext(user_type="guest", client=(day, role))


def with_circumstances(used, days=300):
    """The share of an office's opening pages that were in the cache when they were asked for."""
    cache, pool = Cache(150, policy="lru"), Later(3)
    predictive = PredictiveCaching(cache, pool=pool, limits=UNLIMITED, loader=lambda key: key)
    hits = asked = 0
    for key, context in office(days):
        if key is None:
            predictive.preload_predicted_data(context=context if used else None)
            for _ in range(5):
                pool.advance()
            continue
        pool.advance()
        opening = not key.startswith("page")
        asked += opening
        hits += opening and key in cache
        if predictive.get(key, context=context if used else None) is None:
            cache[key] = key
        predictive.preload_predicted_data()
    return 100 * hits / asked, predictive.stats()


def print_costs(folder, names):
    print("\ncost of a request to the native predictor, ns:")
    costs = [cost(folder, name) for name in names]
    for name, nanoseconds in zip(names, costs, strict=True):
        print(f"{name:28}{nanoseconds:7.0f}")
    print(f"{'mean':28}{mean(costs):7.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=os.environ.get("PERFCORE_TRACES", SHARED / "traces"))
    parser.add_argument("--traces", nargs="*", help="only these traces")
    parser.add_argument("--delay", type=int, default=50, help="requests that a load takes")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", action="store_true", help="without the baselines")
    parser.add_argument("--cost", action="store_true", help="only what a request costs")
    options = parser.parse_args()
    folder = Path(options.folder)
    names = options.traces or sorted(path.name.removesuffix(".u32.zst") for path in folder.glob("*.u32.zst"))
    if options.cost:
        print_costs(folder, names)
        return
    methods = ("perfcore",) if options.only else ("perfcore", *BASELINES)
    print(f"{'trace':28}{'requests':>9}{'keys':>8}{'LRU':>7} "
          + "".join(f"|{method:>7} prec.  cov. " for method in methods))  # fmt: skip
    rows = []
    play = partial(measure, folder, delay=options.delay, baselines=not options.only)
    with ProcessPoolExecutor(options.jobs) as pool:
        for row in pool.map(play, names):
            print_row(*row)
            rows.append(row)
    print_summary(rows)
    print_costs(folder, names)
    print("\nopening pages of an office found in the cache, and precision of what was loaded:")
    for used in (False, True):
        hits, stats = with_circumstances(used)
        source = stats.sources["context" if used else "association"]
        print(f"{'with' if used else 'without'} circumstances {hits:6.1f} %   loaded {source.issued}, "
              f"used {source.used}")  # fmt: skip


if __name__ == "__main__":
    main()
