"""What a task costs in a worker pool. Beside ``concurrent.futures``: rivals/workers.py."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from perfcore.workers import WorkerPool

POOLS = {"concurrent.futures": lambda: ThreadPoolExecutor(4), "perfcore": lambda: WorkerPool(4, 4)}


def nothing(_=None):
    return None


@pytest.fixture(params=POOLS)
def pool(request):
    with POOLS[request.param]() as pool:
        yield pool


def test_a_task_and_its_result(benchmark, pool):
    benchmark(lambda: pool.submit(nothing).result())


def test_thousand_tasks_and_their_results(benchmark, pool):
    def burst():
        for future in [pool.submit(nothing) for _ in range(1000)]:
            future.result()

    benchmark(burst)


def test_a_map_over_a_thousand(benchmark, pool):
    assert len(benchmark(lambda: list(pool.map(nothing, range(1000))))) == 1000


@pytest.mark.parametrize("priority", ["high", "normal", "low"])
def test_a_task_by_priority(benchmark, priority):
    with WorkerPool(2, 2) as pool:
        benchmark(lambda: pool.submit(nothing, priority=priority).result())
