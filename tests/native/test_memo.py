"""A function behind a cache: what it asks its cache, whom it calls on a miss, and what a hit returns."""

import asyncio
import copy
import functools
import gc
import inspect
import pickle
import sys
import time
import types
import weakref
from collections.abc import Coroutine

import pytest

from perfcore._native.keys import KEYWORDS, key_of
from perfcore._native.memo import Held, Memo, _hash_in_place
from perfcore._native.ready import Ready
from perfcore.cache import Cache


class BoomError(Exception):
    pass


class Recorder:
    """A function that remembers how it was called and returns something new each time."""

    def __init__(self):
        self.calls = []

    def __call__(self, *args, **kwargs):
        self.calls.append((args, kwargs))
        return [args, kwargs]


@pytest.fixture
def function():
    return Recorder()


@pytest.fixture(params=[True, False], ids=["hashed in place", "hashed by CPython"])
def hashing(request):
    before = _hash_in_place(request.param)
    yield
    _hash_in_place(before)


CALLS = [
    ((), {}),
    ((1,), {}),
    (("text",), {}),
    ((2.5,), {}),
    ((None,), {}),
    ((True, b"x"), {}),
    ((1, 2, 3), {}),
    ((1, 2, 3), {"flag": True}),
    ((), {"x": 1, "y": (2, frozenset())}),
    (((1, 2),), {}),
    ((float("nan"),), {}),
    ((0,), {}),
    ((-1,), {}),
    ((-(2**30) + 1, 2**30 - 1, 2**30, -(2**30), 2**61 - 1), {}),
    ((2**70, -1, -2), {"größe": "ü", "名": "字"}),
]


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize(("args", "kwargs"), CALLS)
def test_equal_arguments_call_the_function_once(function, hashing, args, kwargs, typed):
    memo = Memo(function, Cache(10), typed=typed)
    first = memo(*args, **kwargs)
    assert first == [args, kwargs]
    assert memo(*args, **kwargs) is first
    assert function.calls == [(args, kwargs)]
    assert list(memo.cache) == [memo.cache_key(*args, **kwargs)] == [key_of(args, kwargs, typed)]
    assert memo.cache.peek(key_of(args, kwargs, typed)) is first
    assert memo.cache_info() == (1, 1, 10, 1)


def test_different_calls_are_different(function, hashing):
    memo = Memo(function, Cache(100))
    for args, kwargs in CALLS:
        memo(*args, **kwargs)
    memo(1, 2)
    memo((1, 2), 3)
    memo(1, x=2)
    memo(x=2)
    memo(x=2, y=1)
    memo(y=1, x=2)  # as in functools, the order of keywords counts
    memo("x", 2)
    assert len(function.calls) == len(CALLS) + 7
    assert memo.hits == 0


def test_equal_objects_of_different_types_are_the_same_unless_typed(function, hashing):
    memo, typed = Memo(function, Cache(100)), Memo(function, Cache(100), typed=True)
    for call in (memo, typed):
        for value in (3, 3.0, 3 + 0j):
            call(value, "x")
            call("x", key=value)
    assert (memo.misses, typed.misses) == (2, 6)


def test_equal_arguments_need_not_be_the_same_objects(function, hashing):
    class Point:
        def __init__(self, x):
            self.x = x

        def __hash__(self):
            return hash(self.x)

        def __eq__(self, other):
            return self.x == other.x

    memo = Memo(function, Cache(100))
    for _ in range(2):
        memo(Point(5), 10**30 + 1, "".join(["a", "b"]), key=Point(6), other=bytes([1, 2]))
        memo(Point(5))
    assert memo.cache_info() == (2, 2, 100, 2)


def test_leading_arguments_can_be_left_out_of_the_key(function, hashing):
    memo = Memo(function, Cache(100), skip=1)
    assert memo("self", 1, 2) is memo("other", 1, 2)
    assert memo("self", 1) is memo("other", 1)
    assert memo("self") is memo("other") is memo()
    assert memo("self", x=1) is memo("other", x=1)
    assert sorted(memo.cache, key=repr) == sorted([(1, 2), 1, (), (KEYWORDS, "x", 1)], key=repr)
    assert memo.cache_key("any", 1, 2) == (1, 2)


def test_a_key_function_is_asked_with_the_arguments(function):
    memo = Memo(function, Cache(100), key=lambda text, /, **options: text.lower())
    assert memo("A", n=1) is memo("a", n=2)
    assert list(memo.cache) == ["a"]
    assert memo.cache_key("B") == "b"
    assert sys.getrefcount(memo.cache_key("some text")) <= 3


def test_what_the_function_or_the_key_function_raises_comes_out_and_is_not_stored():
    def boom(*args):
        raise BoomError

    memo = Memo(boom, Cache(10))
    for _ in range(2):
        with pytest.raises(BoomError) as caught:
            memo(1, 2)
        assert [frame.name for frame in caught.traceback][-1] == "boom"
        assert len(caught.traceback) == 2  # none of ours
    assert memo.cache_info() == (0, 2, 10, 0)
    with pytest.raises(BoomError):
        Memo(len, Cache(10), key=boom)("x")


def test_a_miss_is_answered_by_miss_with_the_key_and_the_arguments():
    asked = []

    def miss(key, args, kwargs):
        asked.append((key, args, kwargs))
        return "answer"

    memo = Memo(len, Cache(10), miss)
    assert [memo(1), memo(1, 2), memo(1, x=2), memo(x=2)] == ["answer"] * 4
    assert asked == [
        (1, (1,), None),
        ((1, 2), (1, 2), None),
        ((1, KEYWORDS, "x", 2), (1,), {"x": 2}),
        ((KEYWORDS, "x", 2), (), {"x": 2}),
    ]
    assert (memo.hits, memo.misses) == (0, 4)
    stats = memo.cache.stats()
    assert (stats.hits, stats.misses, stats.entries) == (0, 4, 0)
    memo.cache.set((1, 2), "stored")
    assert memo(1, 2) == "stored"
    assert memo.cache.stats().hits == 1


def clock():
    now = [100.0]
    return now, lambda: now[0]


def test_an_entry_ends_and_is_computed_again(function):
    now, timer = clock()
    removed = []
    memo = Memo(function, Cache(10, ttl=10, timer=timer, on_remove=lambda *what: removed.append(what)))
    first = memo(1, 2)
    now[0] += 9.9
    assert memo(1, 2) is first
    now[0] += 0.2
    assert memo(1, 2) is not first
    assert removed == [((1, 2), first, "expired")]
    assert memo.cache.stats().expirations == 1
    assert memo.cache_info() == (1, 2, 10, 1)
    memo.cache._check()


def test_use_prolongs_an_idle_limit(function):
    now, timer = clock()
    memo = Memo(function, Cache(10, tti=10, timer=timer))
    first = memo("x")
    for _ in range(5):
        now[0] += 8
        assert memo("x") is first
    now[0] += 11
    assert memo("x") is not first


def test_the_system_clock_ends_and_prolongs_as_a_timer_does(function):
    memo = Memo(function, Cache(10, ttl=0.05))
    for args in ((1,), (1, 2)):
        first = memo(*args)
        assert memo(*args) is first
        time.sleep(0.06)
        assert memo(*args) is not first
    lasting = Memo(function, Cache(10, ttl=3600))
    assert lasting(1) is lasting(1)
    assert lasting(1, 2) is lasting(1, 2)
    idle = Memo(function, Cache(10, tti=3600))
    idle("x"), idle("x", 1)
    time.sleep(0.02)
    before = [idle.cache.expires_in(key) for key in ("x", ("x", 1))]
    idle("x"), idle("x", 1)
    assert all(idle.cache.expires_in(key) > left for key, left in zip(("x", ("x", 1)), before, strict=True))


def test_a_cache_that_is_given_a_timer_later_is_asked_through_it(function):
    now, timer = clock()
    memo = Memo(function, Cache(10))
    memo(1)
    memo.cache.__init__(10, ttl=10, timer=timer)
    first = memo(1)
    now[0] += 11
    assert memo(1) is not first


def reviewing(function, now, timer, **options):
    seen = []

    def review(key, args, kwargs, value, left):
        seen.append((key, args, kwargs, value, left))
        return "reviewed"

    return seen, Memo(function, Cache(10, timer=timer, **options), review=review, margin=4)


def test_the_last_seconds_of_an_entry_are_for_review(function):
    now, timer = clock()
    seen, memo = reviewing(function, now, timer, ttl=10)
    value = memo(1, x=2)
    now[0] += 5
    assert memo(1, x=2) is value
    now[0] += 2
    assert memo(1, x=2) == "reviewed"
    (key, args, kwargs, same, left) = seen.pop()
    assert (key, args, kwargs) == ((1, KEYWORDS, "x", 2), (1,), {"x": 2})
    assert same is value
    assert left == pytest.approx(3)
    assert memo.hits == 2
    now[0] += 3.5
    assert memo(1, x=2) is not value
    assert not seen


def test_use_does_not_make_an_entry_fresh(function):
    now, timer = clock()
    seen, memo = reviewing(function, now, timer, ttl=20, tti=5)
    value = memo(1)
    for _ in range(4):
        now[0] += 3.9
        assert memo(1) is value  # although the idle limit ends in less than the margin
    now[0] += 1
    assert memo(1) == "reviewed"
    assert seen[0][4] == pytest.approx(20 - 4 * 3.9 - 1)


def test_the_last_seconds_by_the_system_clock_are_for_review_too(function):
    seen = []
    memo = Memo(function, Cache(10), review=lambda *what: seen.append(what[4]), margin=100)
    for key in (1, (1, 2)):
        args = key if isinstance(key, tuple) else (key,)
        memo.cache.set(key, "fresh", ttl=3600)
        assert memo(*args) == "fresh"
        memo.cache.set(key, "ageing", ttl=99)
        assert memo(*args) is None
        assert 98 < seen.pop() <= 99
        memo.cache.set(key, Held(), ttl=3600)
        assert memo(*args) is None
        assert 3599 < seen.pop() <= 3600
    assert seen == []


def test_held_values_are_for_review(function):
    class Failure(Held):
        pass

    now, timer = clock()
    seen, memo = reviewing(function, now, timer)
    failure = Failure()
    memo.cache["key"] = failure
    assert memo("key") == "reviewed"
    assert seen == [("key", ("key",), None, failure, None)]
    memo.cache["key"] = "plain"
    assert memo("key") == "plain"
    assert Memo(function, memo.cache)("key") == "plain"


def test_a_hit_can_be_finished():
    memo = Memo(Recorder(), Cache(10), finish=copy.copy)
    first = memo(1)
    second = memo(1)
    assert first == second
    assert first is not second
    memo = Memo(Recorder(), Cache(10), finish=lambda value: 1 / 0)
    memo(1)
    with pytest.raises(ZeroDivisionError):
        memo(1)


# --- hits that are awaited ----------------------------------------------------------------------------------


def awaiting(value="value"):
    async def miss(key, args, kwargs):
        await asyncio.sleep(0)
        memo.cache[key] = value
        return value

    memo = Memo(Recorder(), Cache(10), miss, awaitable=True)
    return memo


async def test_an_awaited_hit_is_its_value():
    memo = awaiting()
    assert await memo(1) == "value"
    assert type(memo(1)) is Ready
    assert await memo(1) == "value"
    assert (memo.hits, memo.misses) == (2, 1)


async def test_a_hit_is_a_coroutine_for_asyncio():
    memo = awaiting(None)
    await memo(1)
    assert isinstance(memo(1), Coroutine)
    assert asyncio.iscoroutine(memo(1))
    assert inspect.isawaitable(memo(1))
    assert await asyncio.create_task(memo(1)) is None
    assert await asyncio.gather(memo(1), memo(1), memo(2)) == [None] * 3
    assert await asyncio.wait_for(memo(1), 5) is None
    assert await asyncio.shield(memo(1)) is None
    task = asyncio.create_task(memo(1))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_awaited_hit_does_not_suspend():
    memo = awaiting()
    await memo(1)
    ran = []
    asyncio.get_running_loop().call_soon(ran.append, 1)
    for _ in range(100):
        await memo(1)
    assert ran == []


@pytest.mark.parametrize("value", [None, (1, 2), StopIteration(5), ValueError("a value, not raised"), Held])
def test_any_value_can_be_awaited(value):
    async def wait():
        return await Ready(value)

    with pytest.raises(StopIteration) as stop:
        wait().send(None)
    assert stop.value.value is value

    @types.coroutine
    def iterate():
        return (yield from Ready(value))

    with pytest.raises(StopIteration) as stop:
        iterate().send(None)
    assert stop.value.value is value
    with pytest.raises(StopIteration) as stop:
        Ready(value).send(None)
    assert stop.value.value is value


def test_a_hit_can_be_awaited_once():
    ready = Ready(1)
    with pytest.raises(StopIteration):
        next(iter(ready))
    for again in (lambda: ready.send(None), lambda: next(ready), lambda: ready.throw(BoomError)):
        with pytest.raises(RuntimeError, match="already awaited"):
            again()

    async def wait(ready):
        return await ready

    with pytest.raises(RuntimeError, match="already awaited"):
        wait(ready).send(None)
    closed = Ready(1)
    closed.close()
    with pytest.raises(RuntimeError, match="already awaited"):
        closed.send(None)


@pytest.mark.parametrize(
    "thrown", [(BoomError,), (BoomError("x"),), (BoomError, BoomError("x"), None), (BoomError, "x")]
)
def test_what_is_thrown_into_a_hit_comes_out(thrown):
    with pytest.raises(BoomError):
        Ready(1).throw(*thrown)


def test_a_hit_in_a_cycle_is_collected():
    class Node:
        pass

    node = Node()
    node.ready = Ready(node)
    alive = weakref.ref(node)
    del node
    gc.collect()
    assert alive() is None


# --- as a function ------------------------------------------------------------------------------------------


@functools.partial(functools.update_wrapper, wrapped=copy.copy)
@functools.partial(Memo, cache=Cache(10))
def example(x):
    raise NotImplementedError


class Owner:
    method = Memo(lambda self, x: (self, x), Cache(10))
    class_method = classmethod(Memo(lambda cls, x: (cls, x), Cache(10)))
    static_method = staticmethod(Memo(lambda x: x, Cache(10)))


def test_a_memo_is_a_method_of_its_class():
    owner, other = Owner(), Owner()
    assert owner.method(1) == (owner, 1)
    assert owner.method(1) is owner.method(1)
    assert other.method(1) == (other, 1)
    bound = owner.method
    assert bound(1) is owner.method(1)
    assert bound.__self__ is owner
    assert bound.__func__ is Owner.method
    assert Owner.method(owner, 1) is bound(1)
    assert owner.class_method(1) == Owner.class_method(1) == (Owner, 1)
    assert Owner.static_method(1) == owner.static_method(1) == 1


def test_a_memo_is_copied_as_itself_and_looks_like_its_function():
    assert copy.copy(example) is copy.deepcopy(example) is example
    assert example.__name__ == "copy"
    assert example.__doc__ == copy.copy.__doc__
    assert example.__wrapped__ is copy.copy
    assert inspect.signature(example) == inspect.signature(copy.copy)
    assert weakref.ref(example)() is example
    assert callable(example)


def test_a_memo_is_pickled_by_name():
    memo = Memo(len, Cache(10))
    memo.__qualname__, memo.__module__ = "pickled_memo", "memo_module"
    module = types.ModuleType("memo_module")
    module.pickled_memo = memo
    sys.modules["memo_module"] = module
    try:
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            assert pickle.loads(pickle.dumps(memo, protocol)) is memo
    finally:
        del sys.modules["memo_module"]


def test_keys_are_pickled_and_copied_with_their_mark():
    key = key_of((1,), {"x": 2})
    assert pickle.loads(pickle.dumps(key)) == copy.deepcopy(key) == key
    assert pickle.loads(pickle.dumps(KEYWORDS)) is copy.copy(KEYWORDS) is KEYWORDS
    assert repr(KEYWORDS) == "KEYWORDS"


def test_it_can_be_called_in_every_way(function):
    memo = Memo(function, Cache(10))
    first = memo(1, b=2)
    assert memo.__call__(1, b=2) is first
    assert functools.partial(memo, b=2)(1) is first
    assert next(map(functools.partial(memo, b=2), [1])) is first
    assert memo(*[1], b=2) is first
    assert memo(*range(300)) is memo(*range(300))
    assert memo(**{f"k{i}": i for i in range(300)}) is memo(**{f"k{i}": i for i in range(300)})


def test_a_collected_cycle_through_a_memo():
    class Node:
        pass

    def tie(**options):
        node = Node()
        node.memo = Memo(lambda *args: node, Cache(10), **options)
        node.memo.node = node
        node.memo(1)
        return weakref.ref(node)

    alive = [tie(), tie(key=lambda *args: 1), tie(finish=lambda value: value)]
    gc.collect()
    assert [ref() for ref in alive] == [None] * 3


def test_a_finalizer_in_a_dead_cycle_may_still_call(function):
    results = []

    class Node:
        def __del__(self):
            results.append(self.memo("late"))

    node = Node()
    node.memo = Memo(function, Cache(10))
    node.memo.node = node
    node.memo(1)
    del node
    gc.collect()
    assert results == [[("late",), {}]]


# --- what makes no sense ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"function": 3}, TypeError, "function must be callable, not int"),
        ({"cache": {}}, TypeError, "cache"),
        ({"cache": None}, TypeError, "cache"),
        ({"miss": 3}, TypeError, "miss must be callable or None, not int"),
        ({"key": 3}, TypeError, "key must be callable or None, not int"),
        ({"review": 3}, TypeError, "review must be callable or None, not int"),
        ({"finish": 3}, TypeError, "finish must be callable or None, not int"),
        ({"unhashable": 3}, TypeError, "unhashable must be callable or None, not int"),
        ({"skip": -1}, ValueError, "skip must not be negative"),
        ({"margin": -1}, ValueError, "margin must be positive"),
        ({"margin": 1}, ValueError, "margin needs review"),
    ],
)
def test_bad_options_are_refused_by_name(options, error, message):
    with pytest.raises(error, match=message):
        Memo(**{"function": len, "cache": Cache(1), **options})


def test_a_memo_is_final():
    for final in (Memo, Ready, type(KEYWORDS)):
        with pytest.raises(TypeError, match="not an acceptable base type"):
            type("Sub", (final,), {})


@pytest.mark.parametrize("options", [{}, {"typed": True}, {"key": lambda *args, **kwargs: args}])
def test_an_unhashable_argument_is_a_type_error_or_explained(hashing, options):
    memo = Memo(len, Cache(1), **options)
    with pytest.raises(TypeError, match="unhashable type: 'list'"):
        memo([], 1)
    explained = []

    def unhashable(error, args, kwargs):
        explained.append((str(error), args, kwargs))
        return "explained"

    memo = Memo(len, Cache(1), unhashable=unhashable, **options)
    assert memo([], x=1) == "explained"
    assert memo({}, 1) == "explained"
    assert explained == [
        ("unhashable type: 'list'", ([],), {"x": 1}),
        ("unhashable type: 'dict'", ({}, 1), None),
    ]
    assert memo.cache_info() == (0, 0, 1, 0)


def test_only_a_type_error_of_hashing_is_explained():
    class Odd:
        def __hash__(self):
            raise BoomError

    def fail(*args):
        raise TypeError("of the key function")

    with pytest.raises(BoomError):
        Memo(len, Cache(1), unhashable=lambda *args: "explained")(Odd())
    with pytest.raises(TypeError, match="of the key function"):
        Memo(len, Cache(1), key=fail, unhashable=lambda *args: "explained")(1)
