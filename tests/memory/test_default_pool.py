"""The pool of the process, under the guide's names."""

import pytest

from perfcore.memory import BufferPool, default_pool, get_optimal_buffer, return_buffer


def test_it_lends_the_smallest_that_fits_and_takes_it_back():
    buffer = get_optimal_buffer(5000)
    assert buffer.capacity == 16384 and buffer.pool is default_pool()
    return_buffer(buffer)
    with pytest.raises(BufferError):
        return_buffer(buffer)


def test_a_buffer_of_any_pool_finds_home():
    pool = BufferPool()
    return_buffer(pool.acquire(1))
    assert pool.stats().in_use == 0
