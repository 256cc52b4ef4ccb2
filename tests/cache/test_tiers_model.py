"""Two cache managers on one directory against a dict with deadlines, tags and dependencies, step by step.

``python tests/mutate_tiers.py`` says which mistakes it notices.
"""

import asyncio
import shutil
import tempfile
from itertools import pairwise

import pytest
from cache.values import same
from effort import effort
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from perfcore.cache import CacheManager, DiskCache, clock, restart

ALL = ["a", b"a", 1, True, None, ("a", 1)]
KEYS = st.sampled_from(ALL)
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

    @initialize(namespace=st.sampled_from(["", "shop"]), ttl=st.sampled_from([None, 8]))
    def open(self, namespace, ttl):
        self.folder = tempfile.mkdtemp(prefix="perfcore-tiers-")
        self.now = START
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(clock, "now_us", lambda: self.now)
        self.options = {
            "memory": {"maxsize": self.maxsize, "timer": lambda: (self.now - START) / 1e6, "ttl": ttl},
            "disk": {"directory": self.folder, "maxbytes": "64MB", "durability": "commit"},
            "namespace": namespace,
            "note_interval": None,
        }
        self.ttl = ttl  # memory's own
        self.model = {}
        self.managers = [CacheManager(**self.options) for _ in range(2)]
        self.at = self.calls = self.steps = 0
        #: others on the directory: one with the same keys if there is no namespace, one with its own
        self.straight = DiskCache(self.folder, maxbytes="64MB", durability="commit")
        self.foreign = CacheManager(None, self.straight, namespace="foreign")
        self.loop = asyncio.new_event_loop()

    def teardown(self):
        if hasattr(self, "managers"):
            for one in (*self.managers, self.foreign, self.straight):
                one.close()
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()
            self.patch.undo()
            shutil.rmtree(self.folder)

    @property
    def manager(self):
        """One of the two, in turn."""
        self.at = 1 - self.at
        return self.managers[self.at]

    def call(self, manager, verb, *args, **options):
        """One of the verbs, every third time in its async form."""
        self.calls += 1
        if self.calls % 3:
            return getattr(manager, verb)(*args, **options)
        return self.loop.run_until_complete(getattr(manager, f"a{verb}")(*args, **options))

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

    def conditions(self, key, tags, others):
        """What ends a value that is begun now: its own tags and keys, and those of what it depends on."""
        tags, others = set(tags), set(others) - {key}
        for other in list(others):
            found = self.entry(other)
            if found is not None and (found.owner in (None, self.at) or found.loose):
                tags |= found.tags
                others |= found.others - {key}
        return tags, others

    def put(self, key, value, ttl=None, tags=(), others=(), owner=None):
        tags, others = self.conditions(key, tags, others)
        self.end(key)
        self.keep(key, value, ttl, tags, others, owner)

    def keep(self, key, value, ttl, tags, others, owner=None):
        deadline = None if ttl is None else self.now + ttl * 1_000_000
        self.model[key] = Entry(value, deadline, tags, others, owner)

    def end_tagged(self, tags):
        for key in [key for key, entry in self.model.items() if entry.tags & set(tags)]:
            del self.model[key]

    @rule(key=KEYS, value=VALUES, ttl=TTLS, tags=TAGS, others=OTHERS)
    def set(self, key, value, ttl, tags, others):
        self.call(self.manager, "set", key, value, ttl=ttl, tags=tags, depends_on=others)
        self.put(key, value, ttl, tags, others)

    @rule(key=KEYS, value=VALUES, ttl=TTLS, tags=TAGS)
    def set_in_memory_only(self, key, value, ttl, tags):
        self.call(self.manager, "set", key, value, persistent=False, ttl=ttl, tags=tags)
        self.put(key, value, self.ttl if ttl is None else ttl, tags, owner=self.at)

    @rule(keys=st.lists(KEYS, min_size=2, max_size=3, unique=True), tag=st.sampled_from(["red", "green"]))
    def chain(self, keys, tag):
        """Each depends on the one before, and so on the tag of the first."""
        manager = self.manager
        manager.set(keys[0], 0, tags=[tag])
        self.put(keys[0], 0, tags=[tag])
        for below, key in pairwise(keys):
            manager.set(key, 0, depends_on=[below])  # None alone is no key here
            self.put(key, 0, others=[below])

    @precondition(lambda self: self.options["namespace"] == "")
    @rule(key=KEYS, value=VALUES, ttl=TTLS)
    def set_by_a_plain_disk_cache(self, key, value, ttl):
        self.straight.set(key, value, ttl=ttl)
        self.keep(key, value, ttl, set(), set())  # it knows nothing of dependencies

    @precondition(lambda self: self.options["namespace"] == "")
    @rule(key=KEYS)
    def delete_by_a_plain_disk_cache(self, key):
        entry = self.entry(key)
        there = entry is not None and entry.owner is None  # what only a memory has stays there
        assert self.straight.delete(key) >= there  # nor does it know what has ended by what it depends on
        if there:
            del self.model[key]

    @precondition(lambda self: self.options["namespace"] != "")
    @rule(key=KEYS)
    def set_in_another_namespace(self, key):
        self.foreign.set(key, "foreign")
        assert self.foreign.get(key) == "foreign"

    @rule(key=KEYS, value=VALUES, ttl=TTLS)
    def set_on_disk_only(self, key, value, ttl):
        self.call(self.manager, "set", key, value, hot=False, ttl=ttl)
        self.put(key, value, ttl)

    @rule(items=st.dictionaries(KEYS, VALUES, min_size=1, max_size=4), ttl=TTLS, tags=TAGS)
    def set_many(self, items, ttl, tags):
        self.call(self.manager, "set_many", items, ttl=ttl, tags=tags)
        self.end(*items)
        for key, value in items.items():
            self.put(key, value, ttl, tags)

    @rule(key=KEYS)
    def get(self, key):
        manager = self.manager
        expected, near = self.expected(key, "none"), manager._near(key)
        there = manager._memory.peek(near, ABSENT) is not ABSENT
        self.check(self.call(manager, "get", key, "none"), expected, key)
        if not there:
            self.check_promoted(manager, key, near)

    def check_promoted(self, manager, key, near):
        """What was brought up is there, and for no longer than it lives below, nor than memory's own ttl."""
        entry = self.entry(key)
        if entry is None or entry.loose or entry.owner is not None:
            return
        assert manager._memory.peek(near, ABSENT) is not ABSENT
        lives = [(entry.deadline - self.now) / 1e6] if entry.deadline is not None else []
        lives += [self.ttl] if self.ttl is not None else []
        left = manager._memory.expires_in(near)
        assert (left is None) is (not lives)
        assert left is None or abs(left - min(lives)) < 0.01

    @rule(key=KEYS)
    def has(self, key):
        manager = self.manager
        expected = not same(self.expected(key, "none"), "none")
        assert manager.has(key) is expected or (self.may_be_gone(key) and not manager.has(key))

    @rule(key=KEYS)
    def explain(self, key):
        manager, entry = self.manager, self.entry(key)
        below = manager.explain(key).below
        if entry is not None and entry.owner is None:
            left = None if entry.deadline is None else (entry.deadline - self.now) / 1e6
            assert below == {"disk": left}
        else:
            assert below == {}

    @rule(keys=st.lists(KEYS, max_size=5))
    def get_many(self, keys):
        found = self.call(self.manager, "get_many", keys, "none")
        for key, value in zip(keys, found, strict=True):
            self.check(value, self.expected(key, "none"), key)

    @rule(
        key=KEYS,
        value=VALUES,
        ttl=TTLS,
        negative=st.sampled_from([None, 3]),
        tags=TAGS,
        others=OTHERS,
        during=st.sampled_from(["nothing", "set", "delete", "tags"]),
        other=KEYS,
    )
    def get_or_set(self, key, value, ttl, negative, tags, others, during, other):
        """Compute, while the other manager changes something that the value may depend on."""
        manager = self.manager
        at = self.at
        expected = self.expected(key, "none")
        missing = same(expected, "none") or self.may_be_gone(key)
        conditions = self.conditions(key, tags, others)
        called, changed = [], (set(), set())

        def factory():
            called.append(True)
            self.at = at
            changed[during == "tags"].update(self.meanwhile(during, other))
            self.at = at
            return value

        options = {"ttl": ttl, "negative_ttl": negative, "tags": tags, "depends_on": others}
        found = manager.get_or_set(key, factory, **options)
        if not called:
            assert same(found, expected)
            return
        assert same(found, value)
        assert missing
        self.end(key)
        if not (conditions[0] & changed[1] or conditions[1] & changed[0]):
            self.keep(key, value, negative if value is None and negative else ttl, *conditions)

    def meanwhile(self, what, key):
        manager = self.manager
        if what == "set":
            manager.set(key, "meanwhile")
            self.put(key, "meanwhile")
            return [key]
        if what == "delete":
            manager.delete(key)
            self.end(key)
            return [key]
        if what == "tags":
            manager.invalidate_tags("red")
            self.end_tagged(["red"])
            return ["red"]
        return []

    @rule(key=KEYS)
    def delete(self, key):
        manager = self.manager
        there = self.expected(key, ABSENT) is not ABSENT and not self.may_be_gone(key)
        deleted = self.call(manager, "delete", key)
        assert deleted >= there
        self.end(key)

    @rule(tags=st.lists(st.sampled_from(["red", "green", ("blue", 1)]), min_size=1, max_size=2))
    def invalidate_tags(self, tags):
        self.call(self.manager, "invalidate_tags", *tags)
        self.end_tagged(tags)

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

    @rule(
        before=st.dictionaries(KEYS, st.sampled_from([None, 5, 15]), max_size=2),
        seconds=st.sampled_from([0, 10]),
        during=st.sampled_from(["nothing", "set", "delete"]),
        key=KEYS,
    )
    def reopen(self, before, seconds, during, key):
        """Stop cleanly, and start again after a while in which the other one may change something."""
        manager = self.manager
        at = self.at
        for held, ttl in before.items():
            manager.set(held, "in memory", persistent=False, ttl=ttl)
            self.put(held, "in memory", self.ttl if ttl is None else ttl, owner=at)
        manager.close()
        for entry in self.model.values():
            entry.loose = entry.owner is not None
        self.now += seconds * 1_000_000
        self.meanwhile(during, key)
        self.managers[at] = CacheManager(**self.options)
        self.at = at

    @rule(noted=st.booleans())
    def killed(self, noted):
        """Stop as if killed: what only its memory had is gone."""
        manager = self.manager
        if noted:
            restart.note(manager, manager._restart._tier, [])
        manager._restart = None
        manager.close()
        lost = [key for key, entry in self.model.items() if entry.owner == self.at and not entry.loose]
        for key in lost:
            del self.model[key]
        self.managers[self.at] = CacheManager(**self.options)

    def may_be_gone(self, key):
        entry = self.entry(key)
        return entry is not None and entry.loose

    def check(self, found, expected, key):
        assert same(found, expected) or (self.may_be_gone(key) and found == "none")

    @precondition(lambda self: hasattr(self, "managers"))
    @invariant()
    def everything_is_found_by_both_now_and_then(self):
        self.steps += 1
        if self.steps % 6 == 0:  # more often, and nothing would be left to be brought up
            for _ in range(2):
                manager = self.manager
                for key in ALL:
                    self.check(manager.get(key, "none"), self.expected(key, "none"), key)

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
    max_examples=effort(60), stateful_step_count=50, deadline=None
)
