"""What is compressed, how, and that it always comes back."""

import os
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from perfcore.cache.compression import Compression, Page
from perfcore.cache.dictionary import Trainer, number_of


def documents(count, seed=1, words=200):
    draw = random.Random(seed)
    lexicon = ["".join(draw.choices("abcdefghijklmnop", k=draw.randrange(3, 9))) for _ in range(words)]

    names = draw.sample(lexicon, 12)

    def document(number):
        items = [
            {names[0]: draw.randrange(10**6), names[1]: " ".join(draw.choices(lexicon, k=6))}
            for _ in range(6)
        ]
        return json.encode(
            {"id": number, "items": items} | {name: draw.choice(lexicon) for name in names[2:]}
        )

    return [document(number) for number in range(count)]


def compression(room=16 * 1024, load=lambda number: None):
    return Compression(load, 1 << 30, Trainer(room))


def restored(tool, payload, shrunk):
    return payload if shrunk is None else tool.restore(*shrunk, len(payload))


@given(
    st.binary(max_size=400) | st.binary(min_size=1, max_size=30).map(lambda part: part * 100),
    st.sampled_from(["on", "off", "adaptive"]),
    st.sampled_from([0, 1, 2]),
)
def test_whatever_is_shrunk_comes_back_and_is_smaller(payload, mode, load):
    tool = compression()
    shrunk = tool.shrink(payload, mode, load)
    assert restored(tool, payload, shrunk) == payload
    assert shrunk is None or len(shrunk[0]) < len(payload)


@given(
    st.lists(
        st.binary(max_size=300) | st.binary(min_size=1, max_size=9).map(lambda part: part * 300), max_size=9
    )
)
def test_many_at_once_are_shrunk_as_one_by_one(payloads):
    tool = compression()
    together = tool.shrink_many(payloads, "adaptive")
    assert [restored(tool, *pair) for pair in zip(payloads, together, strict=True)] == payloads
    assert [found is None for found in together] == [tool.shrink(one, "adaptive") is None for one in payloads]


def test_off_compresses_nothing_on_all_that_shrinks_adaptive_what_is_worth_it():
    small, text, noise = b"a" * 60, b"a text that repeats itself, " * 50, os.urandom(5000)
    large_noise = os.urandom(1 << 20)
    tool = compression()
    assert [tool.shrink(payload, "off") for payload in (small, text, noise)] == [None, None, None]
    assert [tool.shrink(payload, "on") is None for payload in (small, text, noise)] == [
        False,
        False,
        True,
    ]
    found = [tool.shrink(payload, "adaptive") is None for payload in (small, text, noise, large_noise)]
    assert found == [True, False, True, True]


def learn(tool, payloads):
    for payload in payloads:
        tool.shrink(payload, "adaptive")
        if tool.study([payload]):
            return tool.train()
    return None


def test_many_small_payloads_teach_a_dictionary_that_halves_them():
    payloads = documents(4000)
    tool = compression()
    alone = sum(len(tool.shrink(payload, "adaptive")[0]) for payload in payloads[-200:])
    learnt = learn(tool, payloads)
    assert learnt is not None
    together = [tool.shrink(payload, "adaptive") for payload in payloads[-200:]]
    assert sum(len(packed) for packed, _ in together) < 0.6 * alone
    assert {number for _, number in together} == {learnt.number}
    other = compression(load=lambda number: learnt.content if number == learnt.number else None)
    assert [restored(other, *pair) for pair in zip(payloads[-200:], together, strict=True)] == payloads[-200:]


def test_payloads_with_nothing_in_common_teach_none_and_are_tried_less_and_less_often():
    tool, tries = compression(), 0
    for _ in range(6000):
        if tool.study([os.urandom(700)]):
            tries += 1
            assert tool.train() is None
    assert 1 <= tries <= 3


def test_without_room_for_a_dictionary_none_is_learnt():
    assert learn(compression(room=1000), documents(3000)) is None


def test_a_dictionary_that_no_longer_serves_is_replaced():
    tool, usual = compression(), documents(4000)
    first = learn(tool, usual)
    assert learn(tool, usual) is None  # it serves
    second = learn(tool, documents(6000, seed=2))
    assert first is not None
    assert second is not None
    assert second.number != first.number


def test_the_number_of_a_dictionary_is_that_of_its_content():
    assert number_of(b"a") != number_of(b"b")
    assert number_of(b"a") == number_of(memoryview(b"a")) > 0


def test_threads_do_not_share_their_tools():
    tool, payloads = compression(), documents(400)
    learn(tool, documents(4000))

    def work(payload):
        return restored(tool, payload, tool.shrink(payload, "adaptive")) == payload

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, payloads * 5))


@pytest.mark.parametrize("size", [95, 96, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 1 << 20])
def test_sizes_at_the_bounds(size):
    tool, payload = compression(), (b"0123456789abcdef" * (size // 16 + 1))[:size]
    assert restored(tool, payload, tool.shrink(payload, "adaptive")) == payload


PAGE = Page(whole=4000, half=1900)


def paged():
    return Compression(lambda number: None, 1 << 30, Trainer(0), PAGE)


def text(size, share):
    """A payload that shrinks to about ``share``."""
    noise = int(size * share)
    return os.urandom(noise) + b"x" * (size - noise)


@pytest.mark.parametrize(
    ("size", "share", "load", "taken"),
    [
        (3900, 0.3, 0, True),  # two in a page
        (3900, 0.7, 0, False),  # still a page
        (1800, 0.7, 0, True),  # shares a page with others, and a smaller share of it
        (9000, 0.7, 0, True),
        (3900, 0.3, 2, False),  # somebody waits
        (9000, 0.1, 2, True),
    ],
)
def test_what_takes_as_many_pages_compressed_is_stored_as_it_is(size, share, load, taken):
    payload = text(size, share)
    assert (paged().shrink(payload, "adaptive", load) is not None) is taken
    assert (paged().shrink_many([payload], "adaptive", load)[0] is not None) is taken
    assert paged().shrink(payload, "on", load) is not None


def test_what_does_not_get_half_as_large_is_tried_less_and_less_often():
    tool, tries = paged(), []
    tool._compressor = lambda *plan: tries.append(plan) or compressor
    compressor = paged()._compressor(3, 0)
    for _ in range(500):
        assert tool.shrink(text(3900, 0.7), "adaptive") is None
    assert 16 <= len(tries) < 50
    while tool.shrink(text(3900, 0.1), "adaptive") is None:
        assert len(tries) < 60
    assert tool.shrink(text(3900, 0.1), "adaptive") is not None  # it pays again, and is tried each time
