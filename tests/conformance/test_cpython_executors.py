"""CPython's own tests of thread pools, from where Debian installs them, run against WorkerPool.

Its classes look the executor up as ``executor_type``; a thin adapter gives ours the arguments of
ThreadPoolExecutor. What differs is listed with the reason, and an entry that is no longer needed fails.
"""

import importlib
import importlib.util
import unittest
from pathlib import Path

import pytest

from perfcore.workers import WorkerPool

#: installed by `make test`: tools/debian-packages /usr/lib/python3.11/test/...=libpython3.11-testsuite
DEBIAN = Path("/usr/lib/python3.11/test/test_concurrent_futures.py")
CLASSES = [
    "ThreadPoolShutdownTest",
    "ThreadPoolWaitTests",
    "ThreadPoolAsCompletedTest",
    "ThreadPoolExecutorTest",
]
#: not run: without the attributes that they look into they end early, and leave threads blocked for ever
PRIVATE = {
    "test_threads_terminate": "_threads",
    "test_default_workers": "_max_workers; the defaults are the guide's",
    "test_saturation": "_threads and _idle_semaphore",
    "test_idle_thread_reuse": "_threads",
}
DEVIATIONS = {
    "test_max_workers_negative": "the message names the option and what was expected",
}


def suite():
    """Return the module, or None where nothing has installed it."""
    for name in ("test.test_concurrent_futures.test_thread_pool", "test.test_concurrent_futures"):
        if importlib.util.find_spec("test") and _found(name):
            return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location("cpython_concurrent_futures", DEBIAN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _found(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


cpython = suite()


class Adapter(WorkerPool):
    """Takes ThreadPoolExecutor's arguments."""

    def __init__(self, max_workers=8, thread_name_prefix=None, initializer=None, initargs=()):
        super().__init__(max_workers, max_workers, scaling="fixed", name=thread_name_prefix)


def in_another_process(*arguments):
    """Run a script of theirs, which imports the executor by name, with ours under that name."""
    ours = "Adapter = lambda max_workers=8: __import__('perfcore.workers').workers.WorkerPool(1, max_workers)"
    printing = "sleep_and_print = lambda t, text: (__import__('time').sleep(t), print(text, flush=True))"
    *options, text = arguments
    text = text.replace("from test.test_concurrent_futures import sleep_and_print", printing)
    return assert_python_ok(*options, text.replace("from concurrent.futures import Adapter", ours))


if hasattr(cpython, "assert_python_ok"):  # from 3.12 on the tests that use it stand in another file
    assert_python_ok = cpython.assert_python_ok
    cpython.assert_python_ok = in_another_process


def cases():
    for name in filter(cpython.__dict__.__contains__, CLASSES):
        theirs = getattr(cpython, name)
        ours = type(name, (theirs,), {"executor_type": Adapter})
        names = unittest.defaultTestLoader.getTestCaseNames(ours)
        for test in [name for name in names if name not in PRIVATE]:
            yield pytest.param(ours, test, id=f"{name}-{test}")


def problems(case, test):
    result = unittest.TestResult()
    case(test).run(result)
    return [text for _, text in (*result.failures, *result.errors)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("case", "test"), list(cases()))
def test_a_pool_of_threads_is_what_cpython_tests(case, test):
    found = problems(case, test)
    if test in DEVIATIONS:
        assert found, f"{test} passes now: take it off the list"
    else:
        assert not found, found[0]
