"""CPython's own tests of lru_cache and cache, run from the interpreter's installed test package against ours.

Each class of tests looks its functions up in a copy of the module functools, one with and one without the C
accelerator. Ours are put in both copies, so that what the tests ask of either is asked of us.
"""

import contextlib
import unittest
from unittest.mock import patch

import pytest

from perfcore.compat.functools import cache, lru_cache

cpython = pytest.importorskip("test.test_functools", reason="this interpreter came without its test package")


def cases():
    """All classes of tests, by name; CPython forgot to make cases of TestCache."""
    bases = (cpython.TestCache, unittest.TestCase)
    return {
        "TestCachePy": type("TestCachePy", bases, {"module": cpython.py_functools}),
        "TestCacheC": type("TestCacheC", bases, {"module": cpython.c_functools}),
        "TestLRUPy": cpython.TestLRUPy,
        "TestLRUC": cpython.TestLRUC,
    }


def names():
    load = unittest.defaultTestLoader.getTestCaseNames
    return [(case, name) for case, tests in cases().items() for name in load(tests)]


@contextlib.contextmanager
def ours_in_functools():
    with contextlib.ExitStack() as stack:
        for module in (cpython.py_functools, cpython.c_functools):
            stack.enter_context(patch.multiple(module, lru_cache=lru_cache, cache=cache))
        for prefix, case in (("py", cpython.TestLRUPy), ("c", cpython.TestLRUC)):
            name = f"{prefix}_cached_func"  # the tests pickle it, so it has to be found under its name
            again = {
                "cached_func": (lru_cache()(getattr(cpython, name).__wrapped__),),
                "cached_meth": lru_cache()(case.cached_meth.__wrapped__),
                "cached_staticmeth": staticmethod(lru_cache()(case.cached_staticmeth.__wrapped__)),
            }
            stack.enter_context(patch.object(cpython, name, again["cached_func"][0]))
            stack.enter_context(patch.multiple(case, **again))
        yield


def run(case, name):
    result = unittest.TestResult()
    case(name).run(result)
    return [text for _, text in (*result.failures, *result.errors)]


@pytest.mark.parametrize(("case", "name"), names())
def test_lru_cache_is_what_cpython_tests(case, name):
    with ours_in_functools():
        assert run(cases()[case], name) == []


def test_the_tests_are_all_there_and_run_ours():
    assert len(names()) >= 56
    with ours_in_functools():
        assert type(cpython.TestLRUC.cached_meth) is type(lru_cache(len))

        def broken(*args, **kwargs):
            raise ZeroDivisionError

        with patch.object(cpython.c_functools, "lru_cache", broken):
            assert "ZeroDivisionError" in run(cpython.TestLRUC, "test_lru")[0]


free_threading = None
with contextlib.suppress(ImportError, unittest.SkipTest):  # since CPython 3.14, and without the GIL
    from test.test_free_threading import test_functools as free_threading


@pytest.mark.skipif(free_threading is None, reason="this CPython has no such tests")
def test_the_free_threaded_tests_pass():
    with patch.object(free_threading, "lru_cache", lru_cache):
        result = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromModule(free_threading).run(result)
    assert result.testsRun >= 4
    assert [text for _, text in (*result.failures, *result.errors)] == []
