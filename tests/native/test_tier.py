"""The native way from a manager to its memory tier, against whoever means it harm."""

import gc
import sys
import weakref

import pytest

from perfcore._native.tier import Front, Guarded
from perfcore.cache import Cache


class Plain(Front):
    """A front with nothing below that notes what it is asked."""

    def __init__(self, cache, prefix=None):
        super().__init__(cache, prefix)
        self.asked = []

    def _missed(self, key, default):
        self.asked.append(("missed", key))
        return default

    def _reviewed(self, key, guarded, default):
        self.asked.append(("reviewed", key))
        return default

    def _changed(self):
        self.asked.append(("changed",))
        self._seen = self._word


def words():
    return memoryview(bytearray(24)).cast("Q")


def test_a_hit_is_answered_without_python():
    front = Plain(cache := Cache(10))
    cache["a"] = 1
    assert front.get("a") == 1
    assert front.asked == []
    assert front.get("b") is None and front.get("b", 5) == 5
    assert front.asked == [("missed", "b"), ("missed", "b")]


def test_a_value_under_conditions_is_looked_at_once_for_each_move():
    front = Plain(cache := Cache(10))
    cache["a"] = guarded = Guarded("value", ((b"name", 1),))
    assert front.get("a", "default") == "default"
    assert front.asked == [("reviewed", "a")]
    front._vouch(guarded, front._moves)
    assert front.get("a") == "value"
    front._stir()
    front.get("a")
    assert front.asked == [("reviewed", "a")] * 2


@pytest.mark.parametrize("conditions", [{"files": (("x", 0, -1, 0),)}, {"fresh": 1e18}])
def test_files_and_time_are_looked_at_on_every_hit(conditions):
    front = Plain(cache := Cache(10))
    cache["a"] = guarded = Guarded("value", **conditions)
    front._vouch(guarded, front._moves)
    front.get("a")
    assert front.asked == [("reviewed", "a")]


def test_a_moved_word_is_noticed_before_the_next_hit():
    front = Plain(cache := Cache(10))
    shared = words()
    front._watch(shared)
    cache["a"] = 1
    assert front.get("a") == 1
    assert front.asked == []
    shared[2] = 7
    assert front.get("a") == 1 and front.get("a") == 1
    assert front.asked == [("changed",)]
    shared[0] = shared[1] = 9
    front.get("a")
    assert front.asked == [("changed",)]


def test_what_is_watched_stays_mapped_and_can_be_let_go():
    front = Plain(Cache(10))
    buffer = bytearray(24)
    front._watch(memoryview(buffer).cast("Q"))
    with pytest.raises(BufferError):
        buffer.extend(b"more")
    front._watch(None)
    gc.collect()
    buffer.extend(b"more")
    assert front.get("a") is None


@pytest.mark.parametrize("bad", [5, b"\0" * 24, bytearray(24), memoryview(bytearray(8)).cast("Q"), "words"])
def test_what_cannot_be_watched_is_refused(bad):
    front = Plain(Cache(10))
    with pytest.raises((TypeError, ValueError, BufferError)):
        front._watch(bad)
    assert front.get("a") is None


def test_a_front_that_was_never_initialised_finds_nothing():
    front = Plain.__new__(Plain)
    front.asked = []
    assert front.get("a", 5) == 5
    with pytest.raises(TypeError):
        Front(None)
    with pytest.raises(NotImplementedError):
        Front(Cache(1)).get("a")


def test_errors_of_keys_and_of_what_is_below_come_out():
    class Angry:
        def __hash__(self):
            raise ZeroDivisionError

    class Failing(Plain):
        def _missed(self, key, default):
            raise LookupError(key)

    with pytest.raises(ZeroDivisionError):
        Plain(Cache(10)).get(Angry())
    with pytest.raises(LookupError):
        Failing(Cache(10)).get("a")


def test_keys_of_another_prefix_are_other_keys():
    cache = Cache(10)
    cache["a"] = "plain"
    cache["shop", "a"] = "shop's"
    assert (Plain(cache).get("a"), Plain(cache, "shop").get("a"), Plain(cache, "x").get("a")) == (
        "plain",
        "shop's",
        None,
    )


def test_a_value_may_be_dropped_while_it_is_reviewed():
    class Dropping(Plain):
        def _reviewed(self, key, guarded, default):
            self.cache_of.clear()
            gc.collect()
            return guarded.value

    front = Dropping(cache := Cache(10))
    front.cache_of = cache
    cache["a"] = Guarded(["value"])
    assert front.get("a") == ["value"]


def test_cycles_are_collected():
    class Node:
        pass

    node = Node()
    cache = Cache(10)
    front = Plain(cache)
    node.front = front
    cache["a"] = Guarded(node, source=node)
    gone = [weakref.ref(node), weakref.ref(front)]
    del node, cache, front
    gc.collect()
    assert [one() for one in gone] == [None, None]


def test_reference_counts_stay_flat():
    front = Plain(cache := Cache(10))
    front._watch(words())
    value = object()
    cache["a"] = guarded = Guarded(value, ((b"n", 1),))
    front._vouch(guarded, front._moves)
    cache["b"] = value
    before = sys.getrefcount(value), sys.getrefcount(guarded), sys.getrefcount("a"), sys.getrefcount(None)
    for _ in range(1000):
        front.get("a")
        front.get("b")
        front.get("c", value)
    front.asked.clear()
    after = sys.getrefcount(value), sys.getrefcount(guarded), sys.getrefcount("a"), sys.getrefcount(None)
    assert all(abs(new - old) < 10 for new, old in zip(after, before, strict=True))


def test_a_guarded_value_weighs_what_it_holds():
    from perfcore.sizing import weigh

    small, large = weigh("k", Guarded(b"x" * 10)), weigh("k", Guarded(b"x" * 10_000))
    assert 9_900 < large - small < 10_100


def test_a_long_chain_of_guarded_values_dies_without_exhausting_the_stack():
    chain = None
    for _ in range(200_000):
        chain = Guarded(chain)
    del chain
