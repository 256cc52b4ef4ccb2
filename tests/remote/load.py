"""Callers that read and write a cache while something happens to its servers, and what they met with."""

import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from itertools import count

KEYS = 40
STANDING = KEYS  # one more, which is written once, and stays on a server that refuses writes
_numbers = count()


class Load:
    """Threads over one cache. Each value carries its key and a number, so that a wrong one is recognised.

    ``lost`` takes it that an older value may be read: it was acknowledged and replication is asynchronous.
    """

    def __init__(self, cache, threads=2):
        self.cache, self.name = cache, f"load{next(_numbers)}"
        self.errors, self.wrong, self.invalidated = [], [], []
        self.calls = defaultdict(list)  # phase: seconds of each call
        self.hits = defaultdict(int)
        self.phase = "before"
        self._done = threading.Event()
        self._written = [0] * (KEYS + 1)
        self._banned = [0] * (KEYS + 1)  # numbers up to this one were invalidated
        self._threads = [threading.Thread(target=self._run, args=(one, threads)) for one in range(threads)]

    def _run(self, first, step):
        number, keys = 0, range(first, KEYS, step)
        if not first:
            self._call(self._set, STANDING)
        while not self._done.is_set():
            for key in keys:
                number += 1
                self._call(self._set if number % 8 == 0 else self._get, key)
            self._call(self._get, STANDING)

    def _call(self, verb, key):
        phase, begin = self.phase, time.perf_counter()
        try:
            verb(key)
        except Exception as error:
            self.errors.append(error)
        self.calls[phase].append(time.perf_counter() - begin)

    def _set(self, key):
        self._written[key] += 1
        self.cache.set((self.name, key), (key, self._written[key]), ttl=60, tags=[f"tag{key % 4}"])

    def _get(self, key):
        banned = self._banned[key]
        value = self.cache.get((self.name, key))
        if value is None:
            return
        self.hits[self.phase] += 1
        if value[0] != key or not 0 < value[1] <= self._written[key]:
            self.wrong.append(value)
        elif value[1] <= banned:
            self.invalidated.append(value)

    def invalidate(self, tag):
        """Invalidate a tag; from now on what was written for its keys before must not be read again."""
        before = list(self._written)
        self.cache.invalidate_tags(f"tag{tag}")
        for key in range(tag, KEYS, 4):
            self._banned[key] = before[key]

    def p999(self, phase):
        """Seconds that 999 in 1000 calls did not exceed."""
        calls = sorted(self.calls[phase])
        return calls[min(len(calls) - 1, int(len(calls) * 0.999))] if calls else 0.0

    def p99(self, phase):
        """Seconds that 99 in 100 calls did not exceed."""
        calls = sorted(self.calls[phase])
        return calls[min(len(calls) - 1, int(len(calls) * 0.99))] if calls else 0.0

    @contextmanager
    def running(self):
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._done.set()
            for thread in self._threads:
                thread.join()


class Noise:
    """The longest that a thread of this process which slept for a millisecond was kept waiting."""

    def __init__(self):
        self.longest, self._done = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._done.is_set():
            begin = time.perf_counter()
            time.sleep(0.001)
            self.longest = max(self.longest, time.perf_counter() - begin - 0.001)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._done.set()
        self._thread.join()
