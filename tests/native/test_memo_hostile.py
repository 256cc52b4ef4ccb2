"""Arguments, functions and finalizers that do their worst: no crash, no leak, never more than the bound."""

import contextlib
import gc
import itertools
import random
import sys
import threading
import time

import pytest

from perfcore._native.memo import Memo
from perfcore.cache import Cache
from perfcore.compat.functools import cache, lru_cache


class BoomError(Exception):
    pass


class Key:
    """A key that collides with all others of its kind and calls back when it is hashed or compared."""

    def __init__(self, name, on_eq=None, on_hash=None):
        self.name, self.on_eq, self.on_hash = name, on_eq, on_hash

    def __hash__(self):
        if self.on_hash:
            self.on_hash()
        return 7

    def __eq__(self, other):
        for key in (self, other):
            if getattr(key, "on_eq", None):
                key.on_eq()
        return isinstance(other, Key) and self.name == other.name


#: the ways in which a hostile argument can be part of a call
SHAPES = {
    "alone": lambda function, key: function(key),
    "second": lambda function, key: function(1, key),
    "keyword": lambda function, key: function(1, x=key),
    "nested": lambda function, key: function((1, (key,))),
}


@pytest.fixture(params=SHAPES)
def call(request):
    return SHAPES[request.param]


def echo(*args, **kwargs):
    return [args, kwargs]


def test_what_eq_and_hash_raise_comes_out_and_changes_nothing(call):
    def boom():
        raise BoomError

    function = lru_cache(maxsize=10)(echo)
    first = call(function, Key("a"))
    with pytest.raises(BoomError):
        call(function, Key("b", on_eq=boom))
    with pytest.raises(BoomError):
        call(function, Key("b", on_hash=boom))
    assert call(function, Key("a")) is first
    assert function.cache_info() == (1, 1, 10, 1)
    function.cache._check()


@pytest.mark.parametrize("change", ["clear", "grow", "call", "init"])
@pytest.mark.parametrize("moment", ["on_eq", "on_hash"])
def test_an_argument_that_changes_the_cache_while_it_is_looked_up(call, change, moment):
    function = lru_cache(maxsize=30)(echo)
    for i in range(20):
        call(function, Key(i))
    fired = []

    def meddle():
        if fired:
            return
        fired.append(1)
        if change == "clear":
            function.cache_clear()
        elif change == "grow":
            for i in range(1000):
                function(i)
        elif change == "init":
            function.cache.__init__(5, policy="lru")
        else:
            call(function, Key(19))
        gc.collect()

    found = call(function, Key(19, **{moment: meddle}))
    assert fired
    assert repr(found).count("Key") == 1
    function.cache._check()


def test_a_key_that_dies_in_its_own_comparison(call):
    function = lru_cache(maxsize=10)(echo)

    class Suicidal(Key):
        __hash__ = Key.__hash__

        def __eq__(self, other):
            function.cache_clear()
            return True

    first = call(function, Suicidal("x"))
    del first
    call(function, Key("x"))
    function.cache._check()
    assert function.cache_info().currsize == 1


def test_a_function_that_stores_its_own_key_or_clears_its_cache():
    @lru_cache(maxsize=3)
    def function(n, depth=0):
        if depth == 0:
            again.append(function(n, depth=1))
        elif depth == 1:
            function.cache_clear()
            function(n, depth=2)
        return [n, depth]

    again = []
    assert [function(i) for i in range(50)] == [[i, 0] for i in range(50)]
    assert function.cache_info().currsize <= 3
    function.cache._check()

    @lru_cache(maxsize=10)
    def recursive(n):
        calls.append(n)
        return [] if len(calls) > 5 else recursive(n)

    calls = []
    assert recursive(1) is recursive(1)  # the innermost result was stored first, and stays
    assert recursive.cache_info().currsize == 1


def test_a_finalizer_of_a_result_may_call_the_function():
    counter = itertools.count()

    class Result:
        def __del__(self):
            n = next(counter)
            if n < 3000:
                function(n % 11, "again")
                function(n)

    @lru_cache(maxsize=4)
    def function(*args):
        return Result()

    for i in range(500):
        function(i)
        function("x", i)
        function.cache._check()
        assert len(function.cache) <= 4
    function.cache_clear()
    function.cache._check()


def test_collections_in_the_middle_of_everything():
    function = lru_cache(maxsize=64)(echo)
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for i in range(2000):
            node = function(i % 100, "x", y=i % 7)
            node.append(node)
            function((i % 37,))
            if i % 100 == 0:
                function.cache._check()
    finally:
        gc.set_threshold(*threshold)
    function.cache._check()


def test_a_timer_that_raises_or_changes_the_cache():
    now = [0.0]

    def timer():
        if now[0] == 5:
            raise BoomError
        if now[0] == 6:
            now[0] = 7
            function.cache_clear()
        return now[0]

    function = Memo(echo, Cache(10, ttl=100, timer=timer))
    for args in ((1,), (1, 2)):
        now[0] = 0.0
        first = function(*args)
        now[0] = 5
        with pytest.raises(BoomError):
            function(*args)
        now[0] = 6
        assert function(*args) is not first
        function.cache._check()


def test_reference_counts_are_flat():
    class Plain:
        pass

    args = ("a text of some length", 10**30, (1, 2), Plain(), 2.5)
    value, name = Plain(), "keyword_of_some_length"

    def give(*args, **kwargs):
        return value

    def counts():
        return [sys.getrefcount(item) for item in (*args, value, name, echo, Cache, None)][:-1]

    def use(function):
        for _ in range(3):
            for arg in args:
                function(arg), function(arg, arg), function(arg, **{name: arg})
        for bad in ([], {}):
            with contextlib.suppress(TypeError):  # functools' maxsize=0 takes them
                function(bad, args[0])

    def round_():
        now = [0.0]
        use(lru_cache(maxsize=2)(give))
        use(lru_cache(maxsize=0)(give))
        use(cache(give))
        use(lru_cache(maxsize=99, typed=True, ttl=50)(give))
        use(
            Memo(
                echo,
                Cache(9),
                lambda key, args, kwargs: value,
                key=lambda *args, **kwargs: (args, [][:1] or 1, *args),
            )
        )
        expiring = Memo(give, Cache(9, ttl=1, timer=lambda: now[0]))
        for _ in range(3):
            now[0] += 0.7
            use(expiring)
        use(
            Memo(
                lambda *args, **kwargs: value,
                Cache(9, ttl=9),
                review=lambda *what: what,
                margin=10,
                finish=id,
            )
        )
        use(Memo(lambda *args, **kwargs: value, Cache(9), finish=lambda value: value, awaitable=True))

    round_()
    gc.collect()
    before = counts()
    for _ in range(20):
        round_()
    gc.collect()
    assert counts() == before


def test_eight_threads_never_get_the_result_of_another_call():
    """Threads share one function; a slow comparison lets another in, in the middle of a search."""
    errors, stop = [], time.monotonic() + 1.5

    class Slow(Key):
        __hash__ = Key.__hash__

        def __eq__(self, other):
            time.sleep(0)
            return super().__eq__(other)

    function = lru_cache(maxsize=100)(lambda *args, **kwargs: (args, kwargs))

    def work(seed):
        rng = random.Random(seed)
        try:
            while time.monotonic() < stop:
                n = rng.randrange(200)
                assert function(n) == ((n,), {})
                assert function(str(n)) == ((str(n),), {})
                assert function(n, x=(n, "y")) == ((n,), {"x": (n, "y")})
                assert function(Slow(n % 5), n)[0][0].name == n % 5
                assert function.cache_info().currsize <= 100
                if n == 7:
                    function.cache_clear()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    function.cache._check()


def test_threads_that_miss_together_never_exceed_the_bound():
    """python/cpython #148180: threads that evict at once left functools' cache above its maxsize."""
    maxsize, threads_, rounds = 32, 24, 300
    barrier = threading.Barrier(threads_)
    seen = []

    @lru_cache(maxsize=maxsize)
    def function(n):
        return n

    def work(seed):
        barrier.wait()
        for i in range(rounds):
            function((seed * rounds + i) % (maxsize * 3))
            seen.append(function.cache_info().currsize)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(threads_)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(seen) <= maxsize
    info = function.cache_info()
    assert info.hits + info.misses == threads_ * rounds
    assert info.currsize == len(list(function.cache)) == maxsize
    function.cache._check()
