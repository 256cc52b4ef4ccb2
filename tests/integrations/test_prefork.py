"""Servers that fork: a manager made before the fork serves in every child, and one child computes for all."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest

from perfcore.cache import CacheManager

CHILDREN = 4
#: one child that hangs must not hang the suite
PATIENCE = 60


def in_child(work):
    """Run ``work`` in a forked child; return its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        signal.alarm(PATIENCE)
        work()
        code = 0
    finally:
        os._exit(code)


def ended(children):
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


@pytest.fixture(params=["memory", "disk"])
def manager(request, tmp_path):
    disk = {"directory": tmp_path / "cache"} if request.param == "disk" else None
    with CacheManager(disk=disk) as made:
        yield made


def test_children_have_what_was_there_and_keep_their_memory_to_themselves(tmp_path):
    with CacheManager() as manager:
        manager.set("before", [1])

        def work():
            assert manager.get("before") == [1]
            manager.set("mine", os.getpid())
            assert manager.get("mine") == os.getpid()

        assert ended([in_child(work) for _ in range(CHILDREN)]) == [0] * CHILDREN
        assert manager.get("mine") is None


def test_forking_while_threads_use_the_manager_blocks_nobody(manager):
    stop = threading.Event()

    def use():
        number = 0
        while not stop.is_set():
            number += 1
            manager.set(f"key{number % 50}", number)
            manager.get_or_set(f"made{number % 50}", threading.get_ident, ttl=0.01)
            manager.delete(f"key{(number + 25) % 50}")

    def work():
        for number in range(50):
            manager.set(f"key{number}", number)
            assert manager.get_or_set(f"made{number}", lambda: -1) is not None
            manager.delete(f"key{number}")

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert ended([in_child(work) for _ in range(CHILDREN)]) == [0] * CHILDREN
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)


def test_of_forked_workers_on_a_directory_one_computes(tmp_path):
    computed = tmp_path / "computed"
    with CacheManager(disk={"directory": tmp_path / "cache"}) as manager:

        def compute():
            with computed.open("a") as file:
                file.write("x")
            time.sleep(0.2)
            return "value"

        def work():
            assert manager.get_or_set("key", compute) == "value"

        assert ended([in_child(work) for _ in range(CHILDREN)]) == [0] * CHILDREN
        assert computed.read_text() == "x" and manager.get("key") == "value"


def test_a_delete_in_one_worker_is_seen_by_all(tmp_path):
    with CacheManager(disk={"directory": tmp_path / "cache"}) as manager:
        manager.set("key", 1, persistent="sync")
        assert ended([in_child(lambda: manager.delete("key"))]) == [0]
        assert manager.get("key") is None


def square(manager, number, told):
    told.put(manager.get_or_set(("square", number % 3), lambda: (number % 3) ** 2))


def test_workers_of_multiprocessing_fork_too(manager):
    forking = multiprocessing.get_context("fork")
    told = forking.SimpleQueue()
    workers = [forking.Process(target=square, args=(manager, number, told)) for number in range(6)]
    for worker in workers:
        worker.start()
    found = sorted(told.get() for _ in workers)
    for worker in workers:
        worker.join(PATIENCE)
    assert found == [0, 0, 1, 1, 4, 4] and [worker.exitcode for worker in workers] == [0] * 6


def test_what_memory_held_is_there_after_a_restart(tmp_path):
    def work():
        with CacheManager(disk={"directory": tmp_path / "cache"}) as manager:
            manager.set("key", "value")

    assert ended([in_child(work)]) == [0]
    with CacheManager(disk={"directory": tmp_path / "cache"}) as manager:
        assert manager.explain("key").memory.state == "present" and manager.get("key") == "value"


SERVICE = """
import os
from perfcore.cache import CacheManager
manager = CacheManager(disk={"directory": os.environ["FOLDER"]})   # before the fork: gunicorn --preload
manager.set("made by", os.getpid())

def compute():
    with open(os.environ["FOLDER"] + "/computed", "a") as file:
        file.write("x")
    return "value"

def application(environ, start_response):
    value = manager.get_or_set("key", compute)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {manager.get('made by')} {value}".encode()]
"""


def test_gunicorn_with_two_workers(tmp_path):
    (tmp_path / "service.py").write_text(SERVICE)
    (tmp_path / "cache").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers=2", f"--bind={address}", "service"]
    environment = os.environ | {"FOLDER": str(tmp_path / "cache"), "PYTHONWARNINGS": "ignore"}
    server = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        workers, makers = set(), set()
        limit = time.monotonic() + 30
        while len(workers) < 2 and time.monotonic() < limit:
            answer = ask(f"http://{address}/")
            if answer is not None:
                worker, maker, value = answer.split()
                assert value == "value"
                workers.add(worker)
                makers.add(maker)
        assert len(workers) == 2 and makers == {str(server.pid)}
        assert (tmp_path / "cache" / "computed").read_text() == "x"
    finally:
        server.terminate()
        _, said = server.communicate(timeout=PATIENCE)
    assert server.returncode == 0, said


def ask(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()
    except (urllib.error.URLError, ConnectionError):
        time.sleep(0.05)
        return None
