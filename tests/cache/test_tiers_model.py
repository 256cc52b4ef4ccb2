"""Two cache managers on one directory against a dict with deadlines, tags and dependencies, step by step."""

import shutil
import tempfile

import pytest
from cache.values import same
from effort import effort
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from perfcore.cache import CacheManager, clock

KEYS = st.sampled_from(["a", "b", b"a", 1, True, 2.0, None, ("a", 1)])
VALUES = st.none() | st.integers(0, 5) | st.sampled_from([(1, [2]), {"x": {1}}, "text" * 100, b"\0" * 5000])
TTLS = st.sampled_from([None, 5, 15])
TAGS = st.lists(st.sampled_from(["red", "green", ("blue", 1)]), max_size=2)
OTHERS = st.lists(KEYS, max_size=2)
START = 1_800_000_000_000_000


class Entry:
    def __init__(self, value, deadline, tags, others, owner):
        self.value, self.deadline, self.tags, self.others, self.owner = value, deadline, tags, others, owner
        #: in nobody's memory for sure, and perhaps in either's: one snapshot serves whoever starts first
        self.loose = False


class TiersMachine(RuleBasedStateMachine):
    """Memory has room for all: what is there must be found, by whoever may see it."""

    maxsize = 1000

    @initialize(namespace=st.sampled_from(["", "shop"]))
    def open(self, namespace):
        self.folder = tempfile.mkdtemp(prefix="perfcore-tiers-")
        self.now = START
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(clock, "now_us", lambda: self.now)
        self.options = {
            "memory": {"maxsize": self.maxsize, "timer": lambda: (self.now - START) / 1e6},
            "disk": {"directory": self.folder, "maxbytes": "64MB", "durability": "commit"},
            "namespace": namespace,
        }
        self.model = {}
        self.managers = [CacheManager(**self.options) for _ in range(2)]
        self.at = 0

    def teardown(self):
        if hasattr(self, "managers"):
            for manager in self.managers:
                manager.close()
            self.patch.undo()
            shutil.rmtree(self.folder)

    @property
    def manager(self):
        """One of the two, in turn."""
        self.at = 1 - self.at
        return self.managers[self.at]

    def entry(self, key):
        entry = self.model.get(key)
        return entry if entry is not None and (entry.deadline is None or entry.deadline > self.now) else None

    def expected(self, key, default):
        """What this turn's manager must find: it cannot see what only the other one has in memory."""
        entry = self.entry(key)
        foreign = entry is None or (entry.owner not in (None, self.at) and not entry.loose)
        return default if foreign else entry.value

    def end(self, *keys):
        """The keys change: what depends on them ends."""
        for key in keys:
            self.model.pop(key, None)
        ended = [key for key, entry in self.model.items() if entry.others & set(keys)]
        for key in ended:
            del self.model[key]

    def put(self, key, value, ttl=None, tags=(), others=(), owner=None):
        tags, others = set(tags), set(others) - {key}
        for other in list(others):
            found = self.entry(other)
            if found is not None and (found.owner in (None, self.at) or found.loose):
                tags |= found.tags
                others |= found.others - {key}
        self.end(key)
        self.model[key] = Entry(
            value, None if ttl is None else self.now + ttl * 1_000_000, tags, others, owner
        )

    @rule(key=KEYS, value=VALUES, ttl=TTLS, tags=TAGS, others=OTHERS)
    def set(self, key, value, ttl, tags, others):
        self.manager.set(key, value, ttl=ttl, tags=tags, depends_on=others)
        self.put(key, value, ttl, tags, others)

    @rule(key=KEYS, value=VALUES, ttl=TTLS, tags=TAGS)
    def set_in_memory_only(self, key, value, ttl, tags):
        self.manager.set(key, value, persistent=False, ttl=ttl, tags=tags)
        self.put(key, value, ttl, tags, owner=self.at)

    @rule(key=KEYS, value=VALUES, ttl=TTLS)
    def set_on_disk_only(self, key, value, ttl):
        self.manager.set(key, value, hot=False, ttl=ttl)
        self.put(key, value, ttl)

    @rule(items=st.dictionaries(KEYS, VALUES, min_size=1, max_size=4), ttl=TTLS, tags=TAGS)
    def set_many(self, items, ttl, tags):
        self.manager.set_many(items, ttl=ttl, tags=tags)
        self.end(*items)
        for key, value in items.items():
            self.put(key, value, ttl, tags)

    @rule(key=KEYS)
    def get(self, key):
        found = self.manager.get(key, "none")
        self.check(found, self.expected(key, "none"), key)

    @rule(keys=st.lists(KEYS, max_size=5))
    def get_many(self, keys):
        found = self.manager.get_many(keys, "none")
        for key, value in zip(keys, found, strict=True):
            self.check(value, self.expected(key, "none"), key)

    @rule(key=KEYS, value=VALUES)
    def get_or_set(self, key, value):
        manager = self.manager
        expected = self.expected(key, "none")
        found = manager.get_or_set(key, lambda: value, ttl=5)
        if expected == "none" and type(expected) is str:
            assert same(found, value)
            self.put(key, value, 5)
        else:
            self.computed(key, found, expected, value)

    def computed(self, key, found, expected, value):
        if self.may_be_gone(key) and same(found, value):  # gone, and computed; or the same
            self.put(key, value, 5)
        else:
            assert same(found, expected)

    @rule(key=KEYS)
    def delete(self, key):
        manager = self.manager
        there = self.expected(key, ABSENT) is not ABSENT and not self.may_be_gone(key)
        deleted = manager.delete(key)
        assert deleted >= there
        self.end(key)

    @rule(tags=st.lists(st.sampled_from(["red", "green", ("blue", 1)]), min_size=1, max_size=2))
    def invalidate_tags(self, tags):
        self.manager.invalidate_tags(*tags)
        for key in [key for key, entry in self.model.items() if entry.tags & set(tags)]:
            del self.model[key]

    @rule(keys=st.lists(KEYS, max_size=3))
    def invalidate(self, keys):
        self.manager.invalidate(*keys)
        self.end(*keys)

    @rule()
    def clear(self):
        self.manager.clear()
        self.model.clear()

    @rule(seconds=st.sampled_from([1, 10]))
    def wait(self, seconds):
        self.now += seconds * 1_000_000

    @rule()
    def reopen(self):
        manager = self.manager
        manager.close()
        self.managers[self.at] = CacheManager(**self.options)

        for entry in self.model.values():
            entry.loose = entry.owner is not None

    def may_be_gone(self, key):
        entry = self.entry(key)
        return entry is not None and entry.loose

    def check(self, found, expected, key):
        assert same(found, expected) or (self.may_be_gone(key) and found == "none")

    @precondition(lambda self: hasattr(self, "managers"))
    @invariant()
    def nothing_went_wrong(self):
        for manager in self.managers:
            stats = manager.stats().tiers["disk"]
            assert (stats.errors, stats.damaged, stats.dropped) == (0, 0, 0)
            manager._memory._check()


ABSENT = object()


class CrampedMachine(TiersMachine):
    """Memory has room for two: what is on disk must be found, what is in memory only may be gone."""

    maxsize = 2

    def may_be_gone(self, key):
        entry = self.entry(key)
        return entry is not None and entry.owner is not None


TestTiers = TiersMachine.TestCase
TestCramped = CrampedMachine.TestCase
TestTiers.settings = TestCramped.settings = settings(
    max_examples=effort(30), stateful_step_count=40, deadline=None
)
