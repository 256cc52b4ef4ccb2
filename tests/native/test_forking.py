"""A forked child goes on using the caches and pools it inherits, whatever other threads did to them then."""

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

FORKS = """
    import faulthandler, os, sys, threading, time
    from perfcore.cache import Cache
    from perfcore.memory import BufferPool, ObjectPool
    from perfcore.metrics import Histogram, Registry, SampleRing

    faulthandler.dump_traceback_later(150, exit=True)  # the parent hangs
    caches, stop = [Cache(100, ttl=60), Cache(50, policy="lru")], []
    objects, buffers, ring = ObjectPool(object, max=8), BufferPool(), SampleRing(64)
    times = Histogram("times", registry=Registry())
    times.observe(1.0)
    snapshot = times.snapshot()

    def use_pools():
        with objects.acquire(), buffers.acquire(5000):
            pass
        buffers.stats()
        times.merge(snapshot)
        ring.put(1, 2.0)
        ring.drain()

    def work(thread):
        n = 0
        while not stop:
            n += 1
            for cache in caches:
                cache[(thread, n % 60)] = n
                assert cache.get((thread, n % 60)) in (n, None)
                if n % 500 == 0:
                    cache.expire()
            use_pools()
            short = Cache(3)  # comes and goes while others fork
            short["x"] = n

    def child():
        for cache in caches:
            cache._check()
            for i in range(300):
                cache[i] = i
            assert len(cache) <= cache.maxsize
            cache.clear()
            cache._check()
        for _ in range(30):
            use_pools()
        objects._check()
        fresh = Cache(3)
        fresh["x"] = 1
        del fresh
        if os.fork() == 0:  # once more
            os._exit(0 if caches[0].get("absent") is None else 1)
        os._exit(os.waitstatus_to_exitcode(os.wait()[1]))

    use_pools()  # now, and not in a thread: a child cannot finish an import that another thread had begun
    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(60):
        pid = os.fork()
        if pid == 0:
            try:
                child()
            finally:
                os._exit(9)
        deadline = time.monotonic() + 20
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                break
            if time.monotonic() > deadline:
                os.kill(pid, 9)
                os._exit(3)  # the child hangs
            time.sleep(0.002)
        assert status == 0, status
    stop.append(1)
    for thread in threads:
        thread.join()
    for cache in caches:
        cache._check()
"""


def test_children_of_a_process_with_busy_threads_use_their_caches_and_pools():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(FORKS)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
