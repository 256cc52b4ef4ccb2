"""The native cache against the slow model, step by step, with its own structure verified after each."""

import pytest
from effort import effort
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from models.lru import ModelLRU

from perfcore.cache import Cache

# Few keys, of types that are equal across types and that collide: -1 and -2 have one hash in CPython.
KEYS = st.sampled_from(
    ["", "a", "b", "ä", "日本", b"a", b"", -1, -2, 0, 1, 2**70, 1.0, 2.5, (1, "a"), (), None, frozenset({1})]
)


# Time moves in steps that no ttl ends on, and by more than the timer wheel's grain of 1.07 s, so that what
# has ended is removed by the very next insertion, here as in the model.
class CacheMachine(RuleBasedStateMachine):
    weigher = None

    @initialize(capacity=st.integers(0, 8))
    def build(self, capacity):
        self.model = ModelLRU(capacity, self.weigher or (lambda key, value: 1))
        bound = {"maxweight": capacity, "weigher": self.weigher} if self.weigher else {"maxsize": capacity}
        self.cache = Cache(**bound, policy="lru", timer=lambda: self.model.now)

    @rule(key=KEYS, value=st.integers(0, 9), ttl=st.sampled_from([None, 5, 15, 25]))
    def set(self, key, value, ttl):
        self.cache.set(key, value, ttl=ttl)
        self.model.set(key, value, ttl)

    @rule(key=KEYS)
    def get(self, key):
        assert self.cache.get(key, "absent") == self.model.get(key, "absent")

    @rule(key=KEYS)
    def look(self, key):
        assert (key in self.cache) == self.model.live(key)
        assert self.cache.peek(key, "absent") == (
            self.model.entries[key][0] if self.model.live(key) else "absent"
        )

    @rule(key=KEYS)
    def delete(self, key):
        assert self.cache.delete(key) == self.model.delete(key)

    @rule(key=KEYS, value=st.integers(0, 9))
    def add(self, key, value):
        self.model.expire()
        absent = not self.model.live(key)
        assert self.cache.add(key, value) == absent
        if absent:
            self.model.set(key, value)

    @rule(seconds=st.sampled_from([10, 20, 500, 10_000]))
    def wait(self, seconds):
        self.model.now += seconds

    @rule()
    def expire(self):
        assert self.cache.expire() == self.model.expire()

    @rule(capacity=st.integers(0, 8))
    def resize(self, capacity):
        self.cache.resize(capacity)
        self.model.resize(capacity)

    @precondition(lambda self: self.model.items())
    @rule()
    def popitem(self):
        assert self.cache.popitem() == self.model.popitem()

    @rule()
    def clear(self):
        self.cache.clear()
        self.model.entries.clear()

    @invariant()
    def agree(self):
        if hasattr(self, "cache"):
            self.cache._check()
            assert dict(self.cache.items()) == self.model.items()
            assert len(self.cache) == len(self.model.entries)
            assert self.cache.weight == self.model.weight()


class WeightedMachine(CacheMachine):
    @staticmethod
    def weigher(key, value):
        return value


MANY_STEPS = settings(max_examples=effort(60), stateful_step_count=60, deadline=None)


@pytest.mark.parametrize("machine", [CacheMachine, WeightedMachine])
def test_the_cache_behaves_as_the_model(machine):
    case = machine.TestCase
    case.settings = MANY_STEPS
    case("runTest").runTest()
