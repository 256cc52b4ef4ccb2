"""What a cached function does for its callers, apart from time and concurrency."""

import copy
import gc
import inspect
import math
import pickle
import subprocess
import sys
import weakref
from functools import partial

import pytest

from perfcore import Cache, DiskCache, cached


class Counted:
    """A function that counts its calls."""

    def __init__(self, result=lambda *args, **kwargs: (args, tuple(kwargs.items()))):
        self.calls, self.result = 0, result

    def __call__(self, *args, **kwargs):
        self.calls += 1
        return self.result(*args, **kwargs)


@cached
def at_module_level(x):
    """Double it."""
    return 2 * x


def test_a_result_is_computed_once():
    function = Counted()
    wrapped = cached(function)
    assert wrapped(1, a=2) == wrapped(1, a=2) == ((1,), (("a", 2),))
    assert function.calls == 1
    assert wrapped.cache_info() == (1, 1, 128, 1)


@pytest.mark.parametrize("result", [None, False, 0, "", (), math.nan, NotImplemented, ..., Ellipsis])
def test_every_result_is_a_result(result):
    function = Counted(lambda: result)
    wrapped = cached(function)
    assert wrapped() is wrapped() is result
    assert function.calls == 1


def test_nan_is_a_key_as_it_is_in_a_dict():
    function = Counted()
    wrapped = cached(function)
    nan = float("nan")
    wrapped(nan), wrapped(nan), wrapped(float("nan"))
    assert function.calls == 2


def test_it_looks_like_the_function():
    assert at_module_level.__name__ == "at_module_level"
    assert at_module_level.__doc__ == "Double it."
    assert at_module_level.__wrapped__(4) == 8
    assert str(inspect.signature(at_module_level)) == "(x)"
    assert pickle.loads(pickle.dumps(at_module_level)) is at_module_level
    assert copy.copy(at_module_level) is copy.deepcopy(at_module_level) is at_module_level


def test_equal_arguments_are_one_and_types_tell_them_apart_where_asked():
    function = Counted()
    wrapped = cached(function)
    wrapped(1, 2), wrapped(1.0, 2), wrapped(True, 2)
    assert function.calls == 1
    typed = cached(typed=True)(function)
    typed(1), typed(1.0), typed(True), typed(1)
    assert function.calls == 4


def test_a_key_function_says_what_a_call_is_known_by():
    function = Counted(lambda connection, query: query)
    wrapped = cached(key=lambda connection, query: query)(function)
    assert wrapped("one", 1) == wrapped("another", 1) == 1
    assert function.calls == 1
    assert wrapped.cache_contains("a third", 1)
    assert wrapped.cache_invalidate("a fourth", 1)


def test_an_argument_that_cannot_be_hashed_is_named_with_the_way_out():
    @cached
    def total(start, numbers, *more, scale=1):
        return start

    with pytest.raises(
        TypeError, match=r"argument 'numbers' of .*total\(\) cannot be hashed, it is a list.*key="
    ):
        total(1, [2])
    with pytest.raises(TypeError, match=r"argument '\*more\[0\]' .* dict"):
        total(1, 2, {})
    with pytest.raises(TypeError, match=r"argument 'scale' .* set"):
        total(1, 2, scale=set())
    assert total.cache_info() == (0, 0, 128, 0)


def test_what_a_keys_own_code_raises_comes_out_as_it_is():
    class Bad:
        def __hash__(self):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        at_module_level(Bad())
    with pytest.raises(RuntimeError, match="broken key"):
        cached(key=lambda x: (_ for _ in ()).throw(RuntimeError("broken key")))(abs)(1)


def test_an_exception_is_not_stored_unless_it_is_named():
    def fail(x):
        raise KeyError(x)

    function = Counted(fail)
    wrapped = cached(function)
    for _ in range(2):
        with pytest.raises(KeyError):
            wrapped(1)
    assert function.calls == 2
    named = cached(cache_exceptions=LookupError)(function)
    for _ in range(3):
        with pytest.raises(KeyError, match="1"):
            named(1)
    assert function.calls == 3
    assert named.cache_info() == (2, 1, 128, 1)


FRAMES = """
import gc, weakref
from perfcore import cached

class Big:
    pass

alive = []

@cached(cache_exceptions=ValueError)
def fail(x):
    big = Big()
    alive.append(weakref.ref(big))
    raise ValueError(x)

def caller():
    big = Big()
    alive.append(weakref.ref(big))
    try:
        fail(1)
    except ValueError:
        return
    raise AssertionError("nothing was raised")

for _ in range(2):
    caller()
gc.collect()
assert [ref() for ref in alive] == [None] * 3, alive
"""


def test_a_stored_exception_keeps_no_frame_alive():
    """In a process of its own: what other tests have done to the collector is not the question."""
    done = subprocess.run([sys.executable, "-c", FRAMES], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_stored_exception_that_cannot_be_copied_is_raised_all_the_same():
    class OddError(Exception):
        def __init__(self, a, b):
            super().__init__(f"{a}-{b}")

    @cached(cache_exceptions=OddError)
    def fail():
        raise OddError(1, 2)

    for _ in range(3):
        with pytest.raises(OddError, match="1-2"):
            fail()


@pytest.mark.parametrize("how", ["shallow", "deep", list])
def test_callers_that_get_copies_cannot_change_what_is_cached(how):
    wrapped = cached(copy=how)(lambda: [1, [2]])
    first = wrapped()
    first.append(3)
    second = wrapped()
    assert second == [1, [2]]
    second.append(3)
    assert wrapped() == [1, [2]]
    second[1].append(3)
    assert wrapped() == ([1, [2]] if how == "deep" else [1, [2, 3]])


def test_without_copies_callers_share_the_result():
    wrapped = cached(list)
    assert wrapped() is wrapped()


def test_invalidation_forgets_one_call_and_clearing_all():
    function = Counted()
    wrapped = cached(function)
    wrapped(1), wrapped(2)
    assert wrapped.cache_invalidate(1) and not wrapped.cache_invalidate(1)
    assert not wrapped.cache_contains(1) and wrapped.cache_contains(2)
    wrapped(1), wrapped(2)
    assert function.calls == 3
    wrapped.cache_clear()
    assert wrapped.cache_info() == (0, 0, 128, 0)


def test_looking_whether_there_is_a_result_is_no_use_of_it():
    wrapped = cached(maxsize=2, policy="lru")(Counted())
    wrapped(1), wrapped(2)
    assert wrapped.cache_contains(1)
    wrapped(3)
    assert not wrapped.cache_contains(1)
    assert wrapped.cache_info() == (0, 3, 2, 2)


def test_a_refresh_computes_anew_and_stores():
    results = iter("abc")
    wrapped = cached(lambda: next(results))
    assert (wrapped(), wrapped(), wrapped.refresh(), wrapped()) == ("a", "a", "b", "b")


def test_tags_group_results():
    function = Counted()
    wrapped = cached(tags=lambda user, page: ["pages", f"user:{user}"])(function)
    wrapped(1, 1), wrapped(1, 2), wrapped(2, 1)
    wrapped.invalidate_tags("user:1")
    assert not wrapped.cache_contains(1, 1) and wrapped.cache_contains(2, 1)
    wrapped(1, 1), wrapped(1, 2), wrapped(2, 1)
    assert function.calls == 5
    wrapped.invalidate_tags("pages", "nothing")
    wrapped(1, 1), wrapped(2, 1), wrapped(2, 1)
    assert function.calls == 7
    assert wrapped.cache_info()[:2] == (2, 7)


def test_tags_of_functions_are_those_of_their_cache():
    cache, one, two = Cache(100), Counted(), Counted()
    first, second = cached(cache=cache, tags="t")(one), cached(cache=cache, tags="t", ttl=60)(two)
    first(1), second(1)
    cache.set("beside", 1, tags=["t"])
    cache.invalidate_tags("t")
    assert not first.cache_contains(1) and not second.cache_contains(1) and "beside" not in cache
    first(1), second(1)
    first.invalidate_tags("t")
    assert not second.cache_contains(1)
    assert (one.calls, two.calls) == (2, 2)


def test_fixed_tags():
    function = Counted()
    wrapped = cached(tags="all")(function)
    wrapped(1), wrapped(1)
    wrapped.invalidate_tags("all")
    wrapped(1)
    assert function.calls == 2


@pytest.mark.parametrize(
    "kind", [lambda: (x for x in "ab"), lambda: agen()], ids=["generator", "async generator"]
)
def test_what_can_be_used_only_once_is_refused_when_it_is_returned(kind):
    wrapped = cached(kind)
    with pytest.raises(TypeError, match="return a list"):
        wrapped()
    assert wrapped.cache_info().currsize == 0


async def agen():
    yield 1


async def coroutine():
    return 1


def test_a_coroutine_that_a_plain_function_returns_is_refused_and_closed():
    with pytest.raises(TypeError, match="decorate the coroutine function itself"):
        cached(lambda: coroutine())()
    gc.collect()  # and no warning that it was never awaited


def test_no_bound_and_no_room():
    unbounded = cached(maxsize=None)(abs)
    for i in range(1000):
        unbounded(i)
    assert unbounded.cache_info() == (0, 1000, None, 1000)
    nothing = cached(maxsize=0)(abs)
    nothing(1), nothing(1)
    assert nothing.cache_info() == (0, 2, 0, 0)


def test_results_weigh_what_the_weigher_says():
    wrapped = cached(maxweight=10, policy="lru", weigher=lambda key, value: value, tags="t")(lambda x: x)
    for x in (4, 5, 3):
        wrapped(x)
    assert [wrapped.cache_contains(x) for x in (4, 5, 3)] == [False, True, True]
    assert cached(maxbytes="1MB")(abs).cache.capacity == 2**20


def test_the_parameters_can_be_read_back():
    parameters = cached(maxsize=7, ttl=60)(abs).cache_parameters()
    assert (parameters["maxsize"], parameters["typed"], parameters["ttl"]) == (7, False, 60)


def test_functions_that_share_a_cache_do_not_see_each_others_results():
    shared = Cache(100)
    one, other = cached(cache=shared)(lambda x: ("one", x)), cached(cache=shared)(lambda x: ("other", x))
    assert one(1) == ("one", 1) and other(1) == ("other", 1) and one(1) == ("one", 1)
    assert one.cache is shared and len(shared) == 2
    assert one.cache_info()[:2] == (1, 1) and other.cache_info()[:2] == (0, 1)
    one.cache_clear()
    assert len(shared) == 1 and other.cache_contains(1)


def test_a_key_function_owns_the_whole_key_in_a_shared_cache():
    shared = Cache(100)
    cached(cache=shared, key=lambda x: f"user:{x}")(abs)(-1)
    assert dict(shared) == {"user:-1": 1}


def test_results_on_disk_survive_the_function(tmp_path):
    def make(store):
        function = Counted(lambda x, scale=1: x * scale)
        return function, cached(cache=store, key=None)(function)

    function = Counted(lambda x, scale=1: [x * scale])
    function.__qualname__, function.__module__ = "load", "app"
    for expected in (2, 2):
        with DiskCache(tmp_path) as store:
            wrapped = cached(cache=store)(function)
            assert wrapped(1) == [1] and wrapped(1, scale=3) == [3]
            assert function.calls == expected
            assert wrapped.cache_contains(1)
    with DiskCache(tmp_path) as store:
        store["other"] = 1
        wrapped = cached(cache=store)(function)
        assert wrapped.cache_invalidate(1) and wrapped(1) == [1] and function.calls == 3
        wrapped.cache_clear()
        assert list(store) == ["other"]


def test_a_disk_cannot_keep_what_a_memory_can(tmp_path):
    with DiskCache(tmp_path) as store, pytest.raises(ValueError, match="tags need a Cache in memory"):
        cached(cache=store, tags="x")


def test_a_partial_and_an_object_with_call_are_functions():
    assert cached(partial(pow, 2))(5) == 32
    with pytest.raises(TypeError, match=r"\*args"):
        cached(Counted())([])


def test_the_function_is_collectable():
    def build():
        def function(x):
            return function_ref

        function_ref = weakref.ref(function)
        wrapped = cached(function)
        wrapped(1)
        return weakref.ref(wrapped), function_ref

    refs = build()
    gc.collect()
    assert [ref() for ref in refs] == [None, None]


def test_results_in_a_cycle_with_the_function_are_collectable():
    class Result:
        pass

    def build():
        @cached
        def function():
            result = Result()
            result.function = function
            return result

        return weakref.ref(function())

    ref = build()
    gc.collect()
    assert ref() is None


class Shop:
    """Methods of all kinds, cached with the decorator on either side."""

    calls = 0

    @cached
    def plain(self, x=0):
        Shop.calls += 1
        return self, x

    @classmethod
    @cached
    def inner_class(cls, x):
        Shop.calls += 1
        return cls, x

    @cached
    @classmethod
    def outer_class(cls, x):
        Shop.calls += 1
        return cls, x

    @staticmethod
    @cached
    def inner_static(x):
        Shop.calls += 1
        return x

    @cached(maxsize=10)
    @staticmethod
    def outer_static(x):
        Shop.calls += 1
        return x


class OtherShop(Shop):
    pass


def test_methods_of_every_kind():
    one, other = Shop(), Shop()
    before = Shop.calls
    assert one.plain(1) == one.plain(1) == Shop.plain(one, 1) == (one, 1)
    assert other.plain(1) == (other, 1)
    assert Shop.calls == before + 2
    for name in ("inner_class", "outer_class"):
        before = Shop.calls
        assert getattr(one, name)(1) == getattr(Shop, name)(1) == (Shop, 1)
        assert getattr(OtherShop, name)(1) == (OtherShop, 1)
        assert Shop.calls == before + 2
    for name in ("inner_static", "outer_static"):
        before = Shop.calls
        assert getattr(one, name)(7) == getattr(Shop, name)(7) == 7
        assert Shop.calls == before + 1
        assert getattr(Shop, name).cache_info().hits == 1


def test_a_bound_methods_attributes_are_about_its_instance():
    one, other = Shop(), Shop()
    one.plain(5), other.plain(5)
    assert one.plain.cache_contains(5)
    assert one.plain.cache_invalidate(5)
    assert not one.plain.cache_contains(5) and other.plain.cache_contains(5)
    assert one.plain.refresh(5) == (one, 5)
    assert one.plain == one.plain and one.plain != other.plain
    assert one.plain.__name__ == "plain" and one.plain.__self__ is one
    Shop.outer_class(5)
    # from 3.13 on classmethod itself binds what it holds: attributes are the function's, and want the class
    of_class = () if sys.version_info < (3, 13) else (Shop,)
    assert Shop.outer_class.cache_invalidate(*of_class, 5)
    assert not Shop.outer_class.cache_invalidate(*of_class, 5)


def test_references_are_neither_lost_nor_kept():
    wrapped = cached(maxsize=10, policy="lru")(lambda x: x)
    value = object()
    before = sys.getrefcount(value)
    for _ in range(100):
        wrapped(value)
    for i in range(1000, 1020):
        wrapped(i)
    assert sys.getrefcount(value) == before
