"""Any function, coroutine function or object can be made faster, where measuring says so."""

import asyncio
import threading
import time

import pytest

from perfcore import optimize_for_performance
from perfcore.optimizing import OptimizedCoroutine, OptimizedFunction, OptimizedObject
from perfcore.parsing import OptimizedParser


def gains(optimized):
    return {gain.measure: gain for gain in optimized.report()}


def slow(number):
    """Take a millisecond."""
    time.sleep(0.001)
    return number * 2


# --- what comes out -----------------------------------------------------------------------------------------


def test_without_a_target_or_with_options_it_is_the_parser():
    for parser in (
        optimize_for_performance(cache_directory=False),
        optimize_for_performance({"cache_directory": False}),
    ):
        assert isinstance(parser, OptimizedParser)
        parser.close()


def test_what_comes_out_is_used_like_what_went_in():
    optimized = optimize_for_performance(slow)
    assert isinstance(optimized, OptimizedFunction)
    assert (optimized(4), optimized.__name__, optimized.__doc__) == (8, "slow", "Take a millisecond.")

    async def later(number):
        return number

    assert isinstance(optimize_for_performance(later), OptimizedCoroutine)
    assert isinstance(optimize_for_performance([1]), OptimizedObject)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"cahce_ttl": 1}, TypeError, "unknown option 'cahce_ttl'"),
        ({"cache_ttl": 0}, ValueError, "cache_ttl: expected more than 0"),
        ({"max_concurrency": 0}, ValueError, "max_concurrency: expected at least 1"),
        ({"batch_size": 1.5}, TypeError, "batch_size: expected an integer"),
        ({"batch_window": -1}, ValueError, "batch_window: expected 0"),
        ({"batch": 3}, TypeError, "batch: expected a function"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(options, error, message):
    with pytest.raises(error, match=message):
        optimize_for_performance(slow, **options)


def test_a_class_is_refused():
    with pytest.raises(TypeError, match="got the class int"):
        optimize_for_performance(int)


# --- the cache ----------------------------------------------------------------------------------------------


def test_results_are_cached_where_that_is_allowed_and_pays():
    optimized = optimize_for_performance(slow, pure=True, samples=20)
    for turn in range(200):
        assert optimized(turn % 5) == 2 * (turn % 5)
    gain = gains(optimized)["cache"]
    assert gain.applied and gain.factor > 2 and "were answered by it" in gain.reason


def test_nothing_is_cached_that_may_change():
    calls = []
    optimized = optimize_for_performance(lambda number: calls.append(number), samples=5)
    for _ in range(50):
        optimized(1)
    assert len(calls) == 50
    assert "pure=True" in gains(optimized)["cache"].reason


def test_nothing_is_cached_that_does_not_come_again():
    optimized = optimize_for_performance(slow, pure=True, samples=10)
    for number in range(30):
        optimized(number)
    gain = gains(optimized)["cache"]
    assert not gain.applied and gain.reason.startswith("0% of calls came again")


def test_a_cached_result_ends_after_its_ttl():
    calls = []

    def read():
        calls.append(1)
        time.sleep(0.001)
        return len(calls)

    optimized = optimize_for_performance(read, cache_ttl=0.05, samples=3)
    for _ in range(10):
        optimized()
    before = len(calls)
    time.sleep(0.1)
    optimized()
    assert len(calls) == before + 1


def test_arguments_that_cannot_be_keys_are_no_obstacle():
    optimized = optimize_for_performance(len, samples=2)
    assert [optimized([1]) for _ in range(5)] == [1] * 5


def test_an_exception_reaches_the_caller():
    optimized = optimize_for_performance(lambda: 1 / 0, pure=True, samples=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            optimized()


# --- many items ---------------------------------------------------------------------------------------------


def test_many_items_go_to_workers_when_these_are_faster():
    with optimize_for_performance(slow, max_concurrency=8) as optimized:
        for number in range(5):
            optimized(number)
        assert optimized.map(range(200)) == [2 * number for number in range(200)]
        gain = gains(optimized)["workers"]
        assert gain.applied and gain.factor > 1.5


def test_workers_that_gain_nothing_are_given_up():
    lock = threading.Lock()

    def one_at_a_time(number):
        with lock:
            time.sleep(0.0005)
            return number

    with optimize_for_performance(one_at_a_time) as optimized:
        for number in range(5):
            optimized(number)
        assert optimized.map(range(100)) == [*range(100)]
        assert not gains(optimized)["workers"].applied
        assert optimized.map(range(3)) == [0, 1, 2]


def test_many_items_go_in_batches_where_there_is_such_a_function():
    batches = []

    def double_all(numbers):
        batches.append(len(numbers))
        return [2 * number for number in numbers]

    optimized = optimize_for_performance(slow, batch=double_all, batch_size=40)
    assert optimized.map(range(100)) == [2 * number for number in range(100)]
    assert batches == [40, 40, 20]
    assert gains(optimized)["batches"].applied


def test_a_batch_of_the_wrong_length_is_no_result():
    with pytest.raises(ValueError, match="expected 3 results in the order of the items, got 1"):
        optimize_for_performance(slow, batch=lambda numbers: [1]).map(range(3))


def test_no_more_calls_than_allowed_run_at_once():
    running, most = [], []

    def work():
        running.append(1)
        most.append(len(running))
        time.sleep(0.005)
        running.pop()

    optimized = optimize_for_performance(work, max_concurrency=2)
    threads = [threading.Thread(target=optimized) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) <= 2 and "had to wait" in gains(optimized)["limit"].reason


# --- coroutine functions ------------------------------------------------------------------------------------


async def test_coroutines_are_cached_and_limited_too():
    running, most = [], []

    async def work(number):
        running.append(1)
        most.append(len(running))
        await asyncio.sleep(0.002)
        running.pop()
        return number

    optimized = optimize_for_performance(work, pure=True, samples=10, max_concurrency=3)
    for _ in range(4):
        assert await optimized.map([1, 2, 3, 4, 5]) == [1, 2, 3, 4, 5]
    assert max(most) <= 3 and gains(optimized)["cache"].applied
    assert len(most) == 10 + 5  # the calls that were measured, and then each once more for the cache


def test_a_limit_holds_on_several_event_loops_in_turn():
    async def work(number):
        await asyncio.sleep(0.001)
        return number

    optimized = optimize_for_performance(work, max_concurrency=1)
    for _ in range(3):
        assert asyncio.run(optimized.map([1, 2, 3])) == [1, 2, 3]


async def test_calls_at_once_are_answered_together():
    batches = []

    async def double_all(numbers):
        batches.append(list(numbers))
        return [2 * number for number in numbers]

    async def double(number):
        raise AssertionError("the batch answers")

    optimized = optimize_for_performance(double, batch=double_all, batch_size=4)
    assert await optimized.map(range(10)) == [2 * number for number in range(10)]
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert gains(optimized)["batches"].reason == "10 calls in 3 batches"


async def test_the_error_of_a_batch_reaches_all_in_it_and_no_other():
    async def fail_on_three(numbers):
        if 3 in numbers:
            raise LookupError(3)
        return numbers

    async def one(number):
        raise AssertionError

    optimized = optimize_for_performance(one, batch=fail_on_three, batch_size=2)
    found = await asyncio.gather(*(optimized(number) for number in range(6)), return_exceptions=True)
    assert [type(each) for each in found] == [int, int, LookupError, LookupError, int, int]


async def test_a_batch_of_the_wrong_length_is_an_error_for_all_in_it():
    async def lose_one(numbers):
        return numbers[1:]

    async def one(number):
        raise AssertionError

    optimized = optimize_for_performance(one, batch=lose_one, batch_size=2)
    found = await asyncio.gather(*map(optimized, range(4)), return_exceptions=True)
    assert {str(error) for error in found} == {"batch: expected 2 results in the order of the items, got 1"}


async def test_who_is_cancelled_is_not_asked_for():
    asked = []

    async def note(numbers):
        asked.extend(numbers)
        return numbers

    async def one(number):
        raise AssertionError

    optimized = optimize_for_performance(one, batch=note, batch_window=0.02)
    first, second = asyncio.create_task(optimized(1)), asyncio.create_task(optimized(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == 2
    assert asked == [2] and first.cancelled()


# --- objects ------------------------------------------------------------------------------------------------


class Shop:
    def __init__(self):
        self.name, self.closed = "shop", False

    def price(self, article):
        time.sleep(0.001)
        return len(article)

    async def stock(self, article):
        return 7

    def close(self):
        self.closed = True


def test_the_methods_of_an_object_are_optimized_and_the_rest_is_its_own():
    shop = Shop()
    with optimize_for_performance(shop, pure=True, samples=10) as optimized:
        for _ in range(40):
            assert optimized.price("pear") == 4
        assert optimized.name == "shop"
        optimized.name = "market"
        assert shop.name == "market"
        assert asyncio.run(optimized.stock("pear")) == 7
        (cache, *_) = optimized.report()["price"]
        assert cache.applied
        with pytest.raises(AttributeError):
            _ = optimized.nothing
    assert shop.closed
