"""lru_cache against functools' own, call by call: the same results, counts and evictions."""

import functools

from effort import effort
from hypothesis import given, settings
from hypothesis import strategies as st

from perfcore._native.memo import _hash_in_place
from perfcore.compat.functools import lru_cache

VALUES = st.one_of(
    st.integers(-2, 3),
    st.sampled_from([2**62, -(2**80), 10**30]),
    st.sampled_from(["", "a", "ä", "a longer text", "a longer textual", "名", "a" * 40]),
    st.sampled_from([0.0, 1.0, 2.5, True, False, None, b"", b"a", 1 + 0j]),
    st.tuples(st.integers(0, 2)),
    st.frozensets(st.integers(0, 2), max_size=2),
)
CALLS = st.tuples(st.lists(VALUES, max_size=3), st.dictionaries(st.sampled_from("xyz"), VALUES, max_size=2))
STEPS = st.lists(st.one_of(CALLS, st.sampled_from(["clear", "unhashable"])), max_size=60)


class Twin:
    """The same function behind two caches; each call counts how often either had to compute."""

    def __init__(self, **options):
        self.computed = {"ours": 0, "theirs": 0}
        self.ours = lru_cache(**options)(functools.partial(self.compute, "ours"))
        self.theirs = functools.lru_cache(**options)(functools.partial(self.compute, "theirs"))

    def compute(self, whose, *args, **kwargs):
        self.computed[whose] += 1
        if "error" in args:
            raise ValueError
        return args, kwargs

    def step(self, step):
        if step == "clear":
            self.ours.cache_clear(), self.theirs.cache_clear()
        elif step == "unhashable":
            assert self.outcome(self.ours, [[]], {}) == self.outcome(self.theirs, [[]], {})
        else:
            ours, theirs = (self.outcome(function, *step) for function in (self.ours, self.theirs))
            assert repr(ours) == repr(theirs)  # True is not 1 here
        assert self.ours.cache_info() == self.theirs.cache_info()
        assert self.computed["ours"] == self.computed["theirs"]

    @staticmethod
    def outcome(function, args, kwargs):
        try:
            return function(*args, **kwargs)
        except TypeError:
            return "unhashable"


@settings(max_examples=effort(150), deadline=None)
@given(
    steps=STEPS, maxsize=st.sampled_from([0, 1, 2, 5, 128, None]), typed=st.booleans(), in_place=st.booleans()
)
def test_lru_cache_does_what_functools_does(steps, maxsize, typed, in_place):
    before = _hash_in_place(in_place)
    try:
        twin = Twin(maxsize=maxsize, typed=typed)
        for step in steps:
            twin.step(step)
        twin.ours.cache._check()
    finally:
        _hash_in_place(before)


@settings(max_examples=effort(30), deadline=None)
@given(numbers=st.lists(st.integers(0, 400), min_size=300, max_size=1500), maxsize=st.integers(1, 300))
def test_the_same_entries_are_evicted(numbers, maxsize):
    twin = Twin(maxsize=maxsize)
    for n in numbers:
        twin.step(([n], {}))
        twin.step(([n // 2], {"x": n % 3}))
