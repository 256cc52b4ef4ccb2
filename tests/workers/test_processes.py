"""Tasks in processes: who dies alone, who is tried again, what cannot be sent."""

import os
import signal
import subprocess
import sys
import threading
import time

import cloudpickle
import pytest

from perfcore.workers import ResultTooLargeError, UnpicklableError, WorkerDiedError, WorkerPool

PATIENCE = 60

# the other process cannot import this file
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def pool():
    with WorkerPool(2, 2, kind="process", max_result=100_000) as pool:
        yield pool


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(path):
    try:
        os.mkdir(path)  # noqa: PTH102
    except FileExistsError:
        return "lived"
    return die()


def test_calls_run_in_other_processes_also_those_without_a_name(pool):
    factor = 3
    assert pool.submit(os.getpid).result(PATIENCE) != os.getpid()
    assert pool.submit(lambda x: x * factor, 2).result(PATIENCE) == 6


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_whatever_a_call_raises_comes_back(pool, kind):
    def fail():
        raise kind("x")

    with pytest.raises(kind):
        pool.submit(fail).result(PATIENCE)
    assert pool.submit(int).result(PATIENCE) == 0


def test_map_works_in_chunks(pool):
    assert list(pool.map(pow, range(100), [2] * 100)) == [i * i for i in range(100)]
    assert list(pool.map(abs, range(7), chunksize=3)) == list(range(7))


def test_a_killed_worker_fails_its_own_task_and_no_other(pool):
    others = [pool.submit(time.sleep, 0.05) for _ in range(3)]
    victim = pool.submit(die)
    others += [pool.submit(pow, i, 2) for i in range(10)]
    with pytest.raises(WorkerDiedError):
        victim.result(PATIENCE)
    assert [other.result(PATIENCE) for other in others] == [None] * 3 + [i * i for i in range(10)]


def test_a_task_whose_worker_was_killed_is_tried_again_if_told_to(tmp_path):
    with WorkerPool(1, 1, kind="process", retries=1) as pool:
        assert pool.submit(die_once, str(tmp_path / "once")).result(PATIENCE) == "lived"
        with pytest.raises(WorkerDiedError):
            pool.submit(die).result(PATIENCE)


class Job:
    def __init__(self, guard):
        self.name, self.settings = "job", {"guards": [guard]}

    def work(self):
        return self.name


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (lambda: (print, threading.Lock()), r"args\[0\]"),
        (lambda: (print, {"a": [1, threading.Lock()]}), r"args\[0\]\['a'\]\[1\]"),
        (lambda: (Job(threading.Lock()).work,), r"fn.__self__.settings\['guards'\]\[0\]"),
        (lambda: ((lambda guard: lambda: guard)(threading.Lock()),), r"fn \(variable guard\)"),
    ],
)
def test_what_cannot_be_sent_is_named_at_once(pool, call, path):
    with pytest.raises(UnpicklableError, match=rf"^{path} cannot be sent to a process: lock"):
        pool.submit(*call())


def test_an_answer_that_cannot_be_sent_back_is_named(pool):
    with pytest.raises(UnpicklableError, match=r"the result\['x'\] cannot be sent back"):
        pool.submit(lambda: {"x": __import__("threading").Lock()}).result(PATIENCE)


def test_an_answer_that_is_too_large_is_refused(pool):
    assert len(pool.submit(bytes, 90_000).result(PATIENCE)) == 90_000
    with pytest.raises(ResultTooLargeError, match="max_result is 100000"):
        pool.submit(bytes, 100_000).result(PATIENCE)


def test_the_caller_runs_what_has_no_room_in_its_own_process():
    with WorkerPool(1, 1, kind="process", when_full="caller_runs", queues={"normal": 1}) as pool:
        futures = [pool.submit(os.getpid) for _ in range(20)]
        assert os.getpid() in {future.result(PATIENCE) for future in futures}


async def test_coroutines_await_processes(pool):
    assert await pool.run(pow, 2, 5) == 32


def test_workers_are_bound_where_asked():
    with WorkerPool(1, 1, kind="process", affinity=True) as pool:
        assert len(pool.submit(os.sched_getaffinity, 0).result(PATIENCE)) == 1


def test_close_kills_a_process_that_does_not_end():
    pool = WorkerPool(1, 1, kind="process")
    pid = pool.submit(os.getpid).result(PATIENCE)
    endless = pool.submit(time.sleep, 3600)
    while not endless.running():
        time.sleep(0.001)
    assert pool.close(timeout=0.1) is False
    with pytest.raises(WorkerDiedError):
        endless.result(PATIENCE)
    end = time.monotonic() + PATIENCE
    while alive(pid):
        assert time.monotonic() < end
        time.sleep(0.01)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_without_loky_the_error_names_the_extra():
    text = """
import sys
sys.modules["loky"] = None
from perfcore.errors import MissingExtraError
from perfcore.workers import WorkerPool
WorkerPool().submit(int).result()
try:
    WorkerPool(kind="process")
except MissingExtraError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=True
    )
    assert "perfcore[processes]" in done.stdout
