"""The disk cache against a dict with deadlines, step by step, through two handles and across reopening."""

import shutil
import tempfile

import pytest
from cache.values import same
from effort import effort
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from perfcore.cache import DiskCache, clock

KEYS = st.sampled_from(["a", "b", b"a", 1, True, 2.0, -1, None, ("a", 1), (), "long" * 300])
VALUES = (
    st.none()
    | st.integers(0, 5)
    | st.sampled_from([(1, [2]), {"x": {1}}, b"raw", "text" * 100, b"\0" * 5000, 2**80, 0.5])
)
TTLS = st.sampled_from([None, 5, 15])
TAGS = st.lists(st.sampled_from(["red", "blue", 7]), max_size=2)
START = 1_800_000_000_000_000


class DiskMachine(RuleBasedStateMachine):
    durability = "relaxed"

    @initialize(compression=st.sampled_from(["adaptive", "on", "off"]))
    def open(self, compression):
        self.folder = tempfile.mkdtemp(prefix="perfcore-model-")
        self.options = {"maxbytes": "64MB", "compression": compression, "durability": self.durability}
        self.now = START
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(clock, "now_us", lambda: self.now)
        self.model = {}  # key: (value, deadline in microseconds or None)
        self.tags = {}  # key: the tags of its value
        self.handles = [DiskCache(self.folder, **self.options) for _ in range(2)]

    def teardown(self):
        if hasattr(self, "handles"):
            for handle in self.handles:
                handle.close()
            self.patch.undo()
            shutil.rmtree(self.folder)

    def live(self):
        return {
            key: value
            for key, (value, deadline) in self.model.items()
            if deadline is None or deadline > self.now
        }

    def put(self, key, value, ttl, tags=()):
        self.tags[key] = tags
        self.model.pop(key, None)  # a key that is equal but of another type is the same place
        self.model[key] = value, None if ttl is None else self.now + ttl * 1_000_000

    @property
    def cache(self):
        self.handles.reverse()
        return self.handles[0]

    @rule(key=KEYS, value=VALUES, ttl=TTLS, tags=TAGS)
    def set(self, key, value, ttl, tags):
        self.cache.set(key, value, ttl=ttl, tags=tags)
        self.put(key, value, ttl, tags)

    @rule(tags=TAGS)
    def invalidate(self, tags):
        self.cache.invalidate_tags(*tags)
        for key in [key for key in self.model if set(tags) & set(self.tags[key])]:
            del self.model[key]

    @rule(key=KEYS, value=VALUES)
    def set_item(self, key, value):
        self.cache[key] = value
        self.put(key, value, None)

    @rule(key=KEYS, value=VALUES, ttl=TTLS)
    def add(self, key, value, ttl):
        absent = key not in self.live()
        assert self.cache.add(key, value, ttl=ttl) is absent
        if absent:
            self.put(key, value, ttl)

    @rule(items=st.dictionaries(KEYS, VALUES, max_size=4), ttl=TTLS)
    def set_many(self, items, ttl):
        self.cache.set_many(items, ttl=ttl)
        for key, value in items.items():
            self.put(key, value, ttl)

    @rule(key=KEYS)
    def get(self, key):
        missing = object()
        value = self.cache.get(key, missing)
        live = self.live()
        assert (value is missing) is (key not in live)
        assert value is missing or same(value, live[key])
        assert (key in self.cache) is (key in live)

    @rule(keys=st.lists(KEYS, max_size=5))
    def get_many(self, keys):
        live = self.live()
        assert same(self.cache.get_many(keys, "none"), [live.get(key, "none") for key in keys])

    @rule(key=KEYS, value=VALUES)
    def get_or_set(self, key, value):
        live = self.live()
        found = self.cache.get_or_set(key, lambda: value, ttl=5)
        assert same(found, live.get(key, value))
        if key not in live:
            self.put(key, value, 5)

    @rule(key=KEYS)
    def delete(self, key):
        assert self.cache.delete(key) is (key in self.live())
        self.model.pop(key, None)

    @rule(keys=st.lists(KEYS, max_size=4, unique_by=lambda key: key))
    def delete_many(self, keys):
        live = self.live()
        assert self.cache.delete_many(keys) == sum(key in live for key in keys)
        for key in keys:
            self.model.pop(key, None)

    @rule(key=KEYS)
    def pop(self, key):
        assert same(self.cache.pop(key, "none"), self.live().get(key, "none"))
        self.model.pop(key, None)

    @rule(key=KEYS, ttl=TTLS)
    def touch(self, key, ttl):
        live = self.live()
        assert self.cache.touch(key, ttl=ttl) is (key in live)
        if key in live:
            self.put(key, live[key], ttl, self.tags[key])

    @rule(key=KEYS)
    def expires_in(self, key):
        if key in self.live():
            deadline = self.model[key][1]
            assert self.cache.expires_in(key) == (None if deadline is None else (deadline - self.now) / 1e6)
        else:
            with pytest.raises(KeyError):
                self.cache.expires_in(key)

    @rule()
    def clear(self):
        self.cache.clear()
        self.model.clear()

    @rule()
    def flush(self):
        self.cache.flush()

    @rule(seconds=st.sampled_from([1, 10]))
    def wait(self, seconds):
        self.now += seconds * 1_000_000

    @rule()
    def reopen_one(self):
        self.handles[0].close()
        self.handles[0] = DiskCache(self.folder, **self.options)

    @rule()
    def reopen_both(self):
        for handle in self.handles:
            handle.close()
        self.handles = [DiskCache(self.folder, **self.options) for _ in range(2)]

    @rule()
    def list_all(self):
        live = self.live()
        assert sorted(map(repr, self.cache)) == sorted(repr(_canonical(key)) for key in live)
        assert same(dict(self.cache.items()), {key: live[key] for key in self.cache})

    @rule()
    def expire(self):
        self.cache.expire()
        assert len(self.cache) == len(self.live())

    @precondition(lambda self: hasattr(self, "handles"))
    @invariant()
    def nothing_went_wrong(self):
        stats = self.handles[0].stats()
        assert (stats.errors, stats.damaged, stats.dropped, stats.rejections) == (0, 0, 0, 0)


def _canonical(key):
    return int(key) if isinstance(key, bool | float) else key


class CommittedDiskMachine(DiskMachine):
    durability = "commit"


TestRelaxed = DiskMachine.TestCase
TestCommitted = CommittedDiskMachine.TestCase
TestRelaxed.settings = TestCommitted.settings = settings(
    max_examples=effort(30), stateful_step_count=40, deadline=None
)
