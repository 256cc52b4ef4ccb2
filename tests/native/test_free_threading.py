"""Without the GIL: the import keeps it off, and threads see what they wrote and never more than the bound."""

import subprocess
import sys
import sysconfig
import threading
import time

import pytest

from perfcore.cache import Cache

pytestmark = pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"),
    reason="a build with the GIL; `make free-threaded` has one",
)


def test_importing_keeps_the_gil_off():
    code = "import sys, perfcore._native.cache, perfcore._native.build; print(sys._is_gil_enabled())"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("policy", ["lru", "lfu", "random", "adaptive"])
def test_threads_with_keys_of_their_own_lose_no_update(policy):
    cache, errors, stop = Cache(400, policy=policy, ttl=0.05), [], time.monotonic() + 2

    def work(thread):
        try:
            round_ = 0
            while time.monotonic() < stop:
                round_ += 1
                key = (thread, round_ % 30)
                cache[key] = (key, round_)
                found = cache.get(key)
                assert found is None or found == (key, round_), (found, key, round_)
                assert len(cache) <= 400
                shared = round_ % 200
                cache[shared] = ("shared", shared)
                found = cache.get((shared * 7) % 200)
                assert found is None or found == ("shared", (shared * 7) % 200)
                if round_ % 500 == 0:
                    cache.expire()
                    cache.hottest(5)
                    cache.copy()
                if round_ % 3001 == 0:
                    cache.clear()
        except RuntimeError as error:
            assert "while it was copied" in str(error)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    cache._check()
