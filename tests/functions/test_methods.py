"""cached_method: instances are held weakly, told apart by identity, and share one bound."""

import copy
import gc
import inspect
import pickle
import weakref

import pytest

from perfcore import cached_method


class Shop:
    calls = 0

    def __init__(self, name="shop"):
        self.name = name

    __hash__ = None

    def __eq__(self, other):
        return True

    @cached_method(maxsize=4, policy="lru")
    def price(self, item, *, currency="eur"):
        """What it costs."""
        Shop.calls += 1
        return self.name, item, currency

    @cached_method
    async def fetch(self, item):
        Shop.calls += 1
        return self.name, item

    @classmethod
    @cached_method
    def make(cls, item):
        Shop.calls += 1
        return cls, item


@pytest.fixture(autouse=True)
def fresh():
    Shop.price.cache_clear()
    Shop.calls = 0


def test_instances_have_results_of_their_own_though_they_are_equal_and_unhashable():
    one, other = Shop("one"), Shop("other")
    assert one.price(1) == one.price(1) == ("one", 1, "eur")
    assert other.price(1) == ("other", 1, "eur")
    assert Shop.price(one, 1, currency="usd") == ("one", 1, "usd")
    assert Shop.calls == 3
    assert one.price.__doc__ == Shop.price.__doc__ == "What it costs."
    assert one.price.__name__ == "price"
    assert str(inspect.signature(one.price)) == "(item, *, currency='eur')"


def test_one_bound_holds_for_all_instances():
    shops = [Shop(str(i)) for i in range(10)]
    for shop in shops:
        shop.price(1)
    assert Shop.price.cache_info() == (0, 10, 4, 4)
    assert [shop.price.cache_contains(1) for shop in shops] == [False] * 6 + [True] * 4


def test_an_instance_dies_and_its_results_go_with_it():
    shop, other = Shop(), Shop()
    shop.price(1), shop.price(2), other.price(1)
    ref = weakref.ref(shop)
    del shop
    assert ref() is None  # at once: nothing holds it
    assert Shop.price.cache_info().currsize == 1
    Shop.price.cache._check()


def test_an_instance_in_a_cycle_is_collected():
    shop = Shop()
    shop.myself = shop
    shop.price(1)
    ref = weakref.ref(shop)
    del shop
    gc.collect()
    assert ref() is None and Shop.price.cache_info().currsize == 0


def test_a_new_instance_in_the_place_of_a_dead_one_is_another():
    for i in range(200):
        assert Shop(str(i)).price(1) == (str(i), 1, "eur")
    assert Shop.price.cache_info().currsize == 0


def test_an_instance_that_dies_during_its_call_leaves_nothing():
    Shop("temporary").price(1)
    assert Shop.price.cache_info().currsize == 0


def test_copies_and_pickles_are_other_instances():
    shop = Shop("original")
    shop.price(1)
    for twin in (copy.copy(shop), copy.deepcopy(shop), pickle.loads(pickle.dumps(shop))):
        twin.name = "twin"
        assert twin.price(1) == ("twin", 1, "eur")
        assert vars(twin) == {"name": "twin"}
    assert shop.price(1) == ("original", 1, "eur")


def test_attributes_of_a_bound_method_are_about_its_instance():
    one, other = Shop("one"), Shop("other")
    one.price(1), other.price(1)
    assert one.price.cache_invalidate(1) and not one.price.cache_contains(1)
    assert other.price.cache_contains(1)
    assert one.price.refresh(1) == ("one", 1, "eur")
    assert one.price == one.price != other.price
    assert repr(one.price).startswith("<bound cached method Shop.price of <")


async def test_coroutine_methods():
    shop = Shop("async")
    assert await shop.fetch(1) == await shop.fetch(1) == ("async", 1)
    assert Shop.calls == 1
    ref = weakref.ref(shop)
    del shop
    gc.collect()
    assert ref() is None and Shop.fetch.cache_info().currsize == 0


def test_class_methods():
    class Other(Shop):
        pass

    assert Shop.make(1) == Shop.make(1) == Shop().make(1) == (Shop, 1)
    assert Other.make(1) == (Other, 1)
    assert Shop.calls == 2


def test_keys_of_evicted_results_are_not_kept():
    shop = Shop()
    for i in range(1000):
        shop.price(i)
    ((owner, _), *_) = list(Shop.price.cache)
    assert len(owner.keys) == 4


def test_an_instance_that_cannot_be_referred_to_weakly_is_refused_with_the_way_out():
    class Slots:
        __slots__ = ()

        @cached_method
        def method(self):
            return 1

    with pytest.raises(TypeError, match="__weakref__ among its __slots__"):
        Slots().method()


def test_a_key_function_still_tells_instances_apart():
    class Api:
        @cached_method(key=lambda self, query, trace: query)
        def ask(self, query, trace):
            return self, query, trace

    one, other = Api(), Api()
    assert one.ask(1, "a") == one.ask(1, "b") == (one, 1, "a")
    assert other.ask(1, "c") == (other, 1, "c")


def test_an_unhashable_argument_is_named():
    with pytest.raises(TypeError, match=r"argument 'item' of Shop\.price"):
        Shop().price([])
