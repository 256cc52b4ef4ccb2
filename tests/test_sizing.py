"""The estimated weight of a value is near what it takes, and cheap whatever its shape."""

import pickle
import time
from sys import getsizeof

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from perfcore.sizing import ENTRY, HEAVIEST, weigh

SCALARS = [st.none(), st.floats(), st.integers(10**6, 10**12), st.text(max_size=50), st.binary(max_size=500)]


@st.composite
def rows(draw):
    """Return a function that makes one row after the other, alike in shape and sharing nothing."""
    fields = draw(st.lists(st.sampled_from(SCALARS).flatmap(lambda kind: kind), min_size=1, max_size=9))
    nested = draw(st.integers(0, 5))

    def fresh():
        return pickle.loads(pickle.dumps(fields))

    return lambda: {**dict(enumerate(fresh())), "nested": [fresh() for _ in range(nested)]}


def exact(*values):
    """Return the bytes of all distinct objects in ``values``, looked at one by one."""
    seen, todo = {}, list(values)
    while todo:
        value = todo.pop()
        if id(value) not in seen:
            seen[id(value)] = getsizeof(value)
            if isinstance(value, dict):
                todo += [*value.keys(), *value.values()]
            elif isinstance(value, list | tuple):
                todo += value
    return ENTRY + sum(seen.values())


@settings(deadline=None)
@given(st.lists(st.one_of(SCALARS), max_size=19) | st.dictionaries(st.text(), st.one_of(SCALARS), max_size=9))
def test_a_small_flat_value_is_weighed_exactly(value):
    assert weigh("key", value) == exact("key", value)


@settings(deadline=None, max_examples=200)
@given(rows(), st.integers(1, 500))
def test_rows_are_weighed_by_a_sample(make, count):
    table = [make() for _ in range(count)]
    assert 0.4 < weigh("key", table) / exact("key", table) < 2.5


def test_what_is_reached_twice_weighs_once():
    shared = bytes(10_000)
    assert weigh("key", [shared] * 3) < 2 * len(shared)
    looped: list[object] = [shared]
    looped.append(looped)
    assert weigh("key", looped) < 2 * len(shared)


class Row(Struct):
    name: str
    payload: bytes


class Instance:
    def __init__(self):
        self.payload = bytes(5000)


def test_fields_and_attributes_count_and_classes_and_functions_do_not():
    assert weigh("key", Row("a", bytes(5000))) > 5000
    assert weigh("key", Instance()) > 5000
    assert weigh("key", [Instance, exact, time]) < 500


def test_a_value_that_cannot_be_looked_into_weighs_something():
    class Hostile(dict):
        def __sizeof__(self):
            raise RuntimeError("no")

        def items(self):
            raise RuntimeError("no")

    assert weigh("key", Hostile()) >= ENTRY


def test_the_work_is_bounded_whatever_the_shape():
    wide, deep = list(range(10**6)), []
    for _ in range(100_000):
        deep = [deep]
    bush = [[[[[[0] * 9] * 9] * 9] * 9] * 9] * 9  # each level is one list, reached nine times
    for value in (wide, deep, bush, {n: [n] * 100 for n in range(10_000)}):
        started = time.process_time()
        for _ in range(10):
            weigh("key", value)
        assert (time.process_time() - started) / 10 < 0.05  # about 0.5 ms


def test_a_weight_fits_in_what_a_cache_can_note():
    assert weigh("key", [bytes(1 << 20)] * 3) < HEAVIEST
    huge = [[bytearray(0)] * (1 << 16) for _ in range(64)] * 100_000
    assert weigh("key", huge) <= HEAVIEST


def test_an_array_weighs_its_bytes_also_as_a_view():
    import numpy as np

    array = np.zeros(100_000)
    assert 800_000 < weigh("k", array) < 810_000
    assert 800_000 <= weigh("k", array[:]) < 810_000
    assert weigh("k", memoryview(array)) >= 800_000
