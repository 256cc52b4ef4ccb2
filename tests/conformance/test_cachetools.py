"""cachetools' own tests of a cache, run from its source archive against ours under each policy.

The adapter speaks cachetools' constructor and names, and changes no behaviour; what we do otherwise on
purpose is listed, with the line of their test that finds it out.
"""

import importlib.util
import math
import sys
import unittest

import pytest
from sdists import unpacked

from perfcore.cache import Cache

VERSION = "8.0.1"
POLICIES = ("lru", "lfu", "random", "adaptive")

REFUSED = "what is heavier than the cache is refused and counted, not raised: a cache must not break its user"
ADMITTED = "a heavy newcomer need not be admitted at the cost of several that are there"

#: test -> the line of it at which we differ, and why
DEVIATIONS = {
    "test_defaults": (
        "repr(cache).startswith",
        "a repr in angle brackets: what it shows is no constructor call",
    ),
    "test_maxsize_zero": ("self.assertRaises(ValueError)", REFUSED),
    "test_popitem_exception_context": ("e.__suppress_context__", "there was no exception to suppress"),
    "test_getsizeof_param": ("self.assertRaises(ValueError)", REFUSED),
    "test_getsizeof_subclass": ("self.assertRaises(ValueError)", REFUSED),
}
CHOOSY = DEVIATIONS | {
    "test_getsizeof_param": ("_test_getsizeof", ADMITTED),
    "test_getsizeof_subclass": ("_test_getsizeof", ADMITTED),
}
EXPECTED = {
    "lru": DEVIATIONS,
    "lfu": CHOOSY,
    "random": CHOOSY,
    "adaptive": CHOOSY | {"test_missing_getsizeof": ("self.assert", ADMITTED)},
}

#: under random a newcomer may itself be the victim, which their tests of tiny caches do not foresee
CHANCES = {"random": 200}


class Adapter(Cache):
    """Our cache with cachetools' constructor: one bound, ``maxsize``, on the sum of ``getsizeof(value)``."""

    kind = "lru"

    def __init__(self, maxsize, getsizeof=None):
        bound = {math.inf: None, -math.inf: -1}.get(maxsize, maxsize)  # ours are integers or None
        if getsizeof is not None:
            self.getsizeof = getsizeof
        if self.getsizeof is Adapter.getsizeof:
            super().__init__(bound, policy=self.kind)
        else:
            super().__init__(maxweight=bound, weigher=Weigher(self.getsizeof), policy=self.kind)

    @staticmethod
    def getsizeof(value):
        return 1

    def __getstate__(self):
        arguments, *rest = super().__getstate__()
        return arguments | (
            {"maxsize": None} if arguments["weigher"] else {}
        ), *rest  # not the property below

    @property
    def maxsize(self):
        return math.inf if self.capacity is None else self.capacity

    @property
    def currsize(self):
        return self.weight


class Weigher:
    """Ours is asked for the weight of a key and a value, theirs for that of a value."""

    def __init__(self, getsizeof):
        self.getsizeof = getsizeof

    def __call__(self, key, value):
        return self.getsizeof(value)


def adapter(policy):
    name = f"{policy.title()}Adapter"
    return type(name, (Adapter,), {"kind": policy, "__module__": __name__})


ADAPTERS = {policy: adapter(policy) for policy in POLICIES}
globals().update((made.__name__, made) for made in ADAPTERS.values())  # where pickle looks for them


@pytest.fixture(scope="module")
def mixin():
    """Their class of tests, loaded under a name that is free."""
    source = unpacked("cachetools", VERSION)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(source / "src")
        spec = importlib.util.spec_from_file_location("cachetools_tests", source / "tests" / "__init__.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert sys.modules["cachetools"].__version__ == VERSION
    return module.CacheTestMixin


def problem(case, name, chances):
    """Return why one of their tests fails, or None when it passes one of so many times."""
    for _ in range(chances):
        result = unittest.TestResult()
        case(name).run(result)
        if result.wasSuccessful():
            return None
    return (*result.failures, *result.errors)[0][1]


@pytest.mark.parametrize("policy", POLICIES)
def test_cache_is_a_cache_as_cachetools_tests_it(mixin, policy):
    case = type("CacheCase", (unittest.TestCase, mixin), {"Cache": ADAPTERS[policy]})
    names = unittest.defaultTestLoader.getTestCaseNames(case)
    assert len(names) > 25
    problems = {name: text for name in names if (text := problem(case, name, CHANCES.get(policy, 1)))}
    for name, text in problems.items():
        assert name in EXPECTED[policy], text
        assert EXPECTED[policy][name][0] in text, text
    assert problems.keys() == EXPECTED[policy].keys(), "a deviation is gone: take it off the list"
