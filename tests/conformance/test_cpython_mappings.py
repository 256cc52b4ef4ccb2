"""CPython's own mapping tests, run from the interpreter's installed test package against Cache."""

import unittest

import pytest

from perfcore.cache import Cache

mapping_tests = pytest.importorskip(
    "test.mapping_tests", reason="this interpreter came without its test package"
)

# Every deviation, with its reason.
DEVIATIONS = {
    "test_fromkeys": "a cache has a bound, and fromkeys could not be told which",
    "test_repr": "the repr of a cache shows no cached keys and values: they end up in logs",
    "test_repr_deep": "the repr shows no values, so it does not recurse",
}


class AsDict(Cache):
    """A cache with dict's constructor; its bound is far away."""

    def __init__(self, *args, **kwargs):
        super().__init__(2**30, policy="lru")
        self.update(*args, **kwargs)


def case_class():
    """Built here so that pytest does not collect it by itself."""
    return type("MappingCase", (mapping_tests.TestHashMappingProtocol,), {"type2test": AsDict})


@pytest.mark.parametrize("name", unittest.defaultTestLoader.getTestCaseNames(case_class()))
def test_cache_is_a_mapping_as_cpython_tests_it(name):
    result = unittest.TestResult()
    case_class()(name).run(result)
    problems = [text for _, text in (*result.failures, *result.errors)]
    if name in DEVIATIONS:
        assert problems, f"{name} passes now: take it off the list"
    else:
        assert not problems, problems[0]
