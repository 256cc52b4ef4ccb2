"""What a buffer or an object from a pool costs. Beside the plain way: rivals/pools.py."""

from __future__ import annotations

import itertools

import pytest

from perfcore.memory import BufferPool, ObjectPool

KB = 1024


@pytest.fixture
def pool():
    pool = BufferPool()
    yield pool
    pool.trim()


@pytest.mark.parametrize("size", [4 * KB, 64 * KB, 1024 * KB])
def test_a_buffer_that_is_filled(benchmark, pool, size):
    pattern = b"\xff" * size

    def use():
        with pool.acquire(size) as buffer:
            memoryview(buffer)[:] = pattern

    benchmark(use)


@pytest.mark.parametrize("size", [4 * KB, 64 * KB, 1024 * KB])
def test_a_bytearray_that_is_filled(benchmark, size):
    pattern = b"\xff" * size

    def use():
        memoryview(bytearray(size))[:] = pattern

    benchmark(use)


def test_thousand_buffers_taken_and_given_back(benchmark, pool):
    def loop():
        for _ in itertools.repeat(None, 1000):
            pool.acquire(4 * KB).release()

    benchmark(loop)


def test_thousand_objects_taken_and_given_back(benchmark):
    pool = ObjectPool(list)

    def loop():
        for _ in itertools.repeat(None, 1000):
            pool.acquire().release()

    benchmark(loop)


def test_thousand_objects_that_are_reset(benchmark):
    pool = ObjectPool(list, reset=list.clear)

    def loop():
        for _ in itertools.repeat(None, 1000):
            with pool.acquire() as item:
                item.append(1)

    benchmark(loop)
