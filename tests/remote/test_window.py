"""How old a value is that a manager serves although another process has written a newer one."""

import os
import random
import threading
import time

from redis_servers import wait_until
from remote.load import Noise
from remote.proxies import Proxy

from perfcore.cache import CacheManager

SECONDS = 5 * float(os.environ.get("PERFCORE_FAULT_SECONDS", "0.4"))
INTERVAL, TIMEOUT, KEYS = 0.2, 0.25, 20
#: What docs/remote.md promises.
WINDOW = 2 * INTERVAL + TIMEOUT


class Readers:
    """Threads that read from managers, and know when each value was replaced."""

    def __init__(self, managers):
        self.written = [[time.monotonic()] for _ in range(KEYS)]  # when each number had been stored
        self.oldest, self.reads, self.late = 0.0, 0, 0
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._read, args=(one,)) for one in managers]

    def _read(self, manager):
        draw = random.Random(1)
        while not self._done.is_set():
            key = draw.randrange(KEYS)
            now = time.monotonic()
            found = manager.get(key)
            self.reads += 1
            written = self.written[key]
            if found is not None and found + 1 < len(written) and written[found + 1] < now:
                self.late += 1
                self.oldest = max(self.oldest, now - written[found + 1])
            if self.reads % 50 == 0:
                time.sleep(0.001)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        for thread in self._threads:
            thread.join()


def test_no_value_is_older_than_the_window_although_messages_and_connections_are_lost(server):
    proxy = Proxy(server.port)
    remote = {"prefix": "window", "timeout": TIMEOUT, "backplane": INTERVAL}
    writer = CacheManager(remote=remote | {"url": server.url})
    managers = [CacheManager(remote=remote | {"url": proxy.url}) for _ in range(2)]
    for one in managers:
        wait_until(lambda one=one: one.health()["remote"].ok, "news arriving")
    writer.set_many(dict.fromkeys(range(KEYS), 0), distributed="sync")
    draw, end = random.Random(2), time.monotonic() + SECONDS
    with Noise() as noise, Readers(managers) as readers:
        while time.monotonic() < end:
            proxy.mode = draw.choice(["pass", "mute", "mute"])  # a message in two is lost
            for _ in range(10):
                key = draw.randrange(KEYS)
                writer.set(key, len(readers.written[key]), distributed="sync")
                readers.written[key].append(time.monotonic())
                time.sleep(0.005)
            if draw.random() < 0.1:
                server.command("client", "kill", "type", "pubsub")
        proxy.mode = "pass"
    gaps = sum(one._below[-1].backplane.gaps for one in managers)
    memory = [one.stats().memory for one in managers]
    for one in (writer, *managers):
        one.close()
    proxy.close()
    if "PERFCORE_FAULT_SECONDS" in os.environ:
        print(
            f"\nlost messages: {readers.reads:,} reads, {readers.late:,} of an older value, {gaps} gaps, "
            f"oldest {readers.oldest:.3f} s after it was replaced (window {WINDOW:.2f} s)"
        )
    assert gaps > 0
    assert readers.late > 0  # else nothing was lost, and nothing was tested
    assert sum(one.hits for one in memory) > sum(one.misses for one in memory)
    assert readers.oldest <= WINDOW + 2 * noise.longest + 0.05
