"""``parse_many`` on a cluster: the same results as here, in the same order, whatever nodes see or suffer."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from redis_servers import Server, need_redis

from perfcore.parsing import optimize_for_performance
from perfcore.scaling import LocalBackend

LINES = "x = 1  # some text to parse, so that there is work\n" * 300


@pytest.fixture
def tree(tmp_path):
    """A hundred files of several languages, and some of each kind that is not parsed."""
    top = tmp_path / "tree"
    top.mkdir()
    for n in range(100):
        (top / f"m{n:03}.py").write_text(f"import os\ndef f{n}():\n    class C: pass\n{LINES}")
    (top / "a.ts").write_text("export class A { m() {} }\n")
    (top / "broken.py").write_text("def (:\n")
    (top / "data.py").write_bytes(b"\0\1\2")
    (top / "notes.unknown").write_text("hi")
    (top / "empty.py").write_text("")
    return [*sorted(top.iterdir()), top / "missing.py", top]


def facts(results):
    return [[getattr(r, field) for field in r.__struct_fields__ if field != "parse_time"] for r in results]


def parsed(paths, backend=None, **options):
    options = {"cache_directory": False, **options}
    with optimize_for_performance(options) as parser:
        return facts(parser.parse_many(paths, backend=backend, **({} if backend else {"jobs": 1})))


def sources(results):
    found = [result.source for result in results]
    return {source: found.count(source) for source in set(found)}


class Here:
    """A backend of threads in this process, so that a test can see what is asked of it."""

    def __init__(self, slots=2, run=None):
        self.slots, self.jobs, self._run = slots, [], run
        self._pool = ThreadPoolExecutor(slots)

    def submit(self, fn, /, *args):
        self.jobs.append(args)
        return self._run(self, fn, *args) if self._run else self._pool.submit(fn, *args)


# --- on a real cluster --------------------------------------------------------------------------------------


def test_a_cluster_gives_the_same_results_in_the_same_order(backend, tree):
    before = backend.stats().submitted
    assert parsed(tree, backend) == parsed(tree)
    assert backend.stats().submitted > before


@pytest.mark.parametrize(
    "options", [{"enable_parse_cache": False}, {"batch_size": 3}, {"enable_batching": False}]
)
def test_whatever_the_options(backend, tree, options):
    assert parsed(tree, backend, **options) == parsed(tree, **options)


def test_what_is_known_here_is_not_asked_for(backend, tree):
    with optimize_for_performance(cache_directory=False) as parser:
        list(parser.parse_many(tree, backend=backend))
        time.sleep(0.15)
        list(parser.parse_many(tree, backend=backend))  # young files are known by their content
        before = backend.stats().submitted
        again = list(parser.parse_many(tree[4:104], backend=backend))
        assert sources(again) == {"memory": 100} and backend.stats().submitted == before


def test_results_of_a_cluster_are_kept_on_disk(backend, tree, tmp_path):
    options = {"cache_directory": str(tmp_path / "cache")}
    with optimize_for_performance(options) as parser:
        assert sources(parser.parse_many(tree[4:54], backend=backend)) == {"parsed": 50}
    with optimize_for_performance(options) as parser:
        assert sources(parser.parse_many(tree[4:54], backend=backend)) == {"disk": 50}


def test_a_node_that_is_killed_meanwhile_changes_no_result(backend, tree):
    expected = parsed(tree * 2, enable_parse_cache=False)
    victim = backend.submit(os.getpid).result(60)
    with optimize_for_performance(enable_parse_cache=False) as parser:
        results = parser.parse_many(tree * 2, backend=backend)
        first = next(results)
        os.kill(victim, signal.SIGKILL)
        assert facts([first, *results]) == expected


def test_machines_share_what_they_parsed(backend, tree, tmp_path):
    need_redis()
    server = Server(tmp_path)
    try:
        paths = tree[4:64]
        expected = parsed(paths)
        assert parsed(paths, backend, remote=server.url) == expected
        with optimize_for_performance(cache_directory=False, remote=server.url) as parser:
            results = list(parser.parse_many(paths, backend=backend))
            assert sources(results) == {"remote": 60} and parser.stats().remote_hits == 60
        with optimize_for_performance(cache_directory=False, remote=server.url) as parser:
            assert parser.parse_file(paths[0]).source == "remote"
            moved = shutil.copy(paths[1], tmp_path / "elsewhere.py")
            assert parser.parse_file(moved).source == "remote"
        server.kill()
        assert parsed(paths[:5], backend, remote=server.url) == expected[:5]
    finally:
        server.close()


# --- nodes that see something else --------------------------------------------------------------------------


def elsewhere(change):
    """Return how a backend runs a job whose node sees the tree after ``change``, and then again as it was."""

    def run(backend, fn, *args):
        future = Future()
        undo = change()
        try:
            future.set_result(fn(*args))
        finally:
            undo()
        return future

    return run


def test_a_node_that_has_no_such_files_is_sent_their_contents(tree):
    top = tree[0].parent
    away = top.with_name("away")

    def change():
        top.rename(away)
        return lambda: away.rename(top)

    expected = parsed(tree)
    assert parsed(tree, Here(run=elsewhere(change))) == expected


def test_a_node_that_has_other_files_of_these_names_is_sent_the_contents(tree):
    files = [path for path in tree if path.is_file()]
    expected = parsed(files)

    def change():
        before = [(path, path.read_bytes(), path.stat()) for path in files]
        for path in files:
            path.write_text("def somebody_elses(): pass\n")

        def undo():
            for path, content, stat in before:
                path.write_bytes(content)
                os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

        return undo

    assert parsed(files, Here(run=elsewhere(change))) == expected


def test_results_of_other_files_are_not_remembered_for_ours(tmp_path):
    """A node's file has our size and time stamp, and other content than was read here."""
    path = tmp_path / "a.py"
    path.write_text("def ours(): pass\n")
    stat = path.stat()

    def change():
        path.write_text("def ther(): pass\n")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        return lambda: (path.write_text("def ours(): pass\n"), os.utime(path, ns=(0, stat.st_mtime_ns)))

    with optimize_for_performance(cache_directory=str(tmp_path / "cache")) as parser:
        (result,) = parser.parse_many([path], backend=Here(run=elsewhere(change)))
        assert result.symbols[0].name == "ours"  # what was read here says that theirs is another content


# --- batches ------------------------------------------------------------------------------------------------


def test_small_files_go_in_batches_of_at_least_a_tenth_of_a_second(tmp_path):
    paths = [tmp_path / f"s{n}.py" for n in range(400)]
    for n, path in enumerate(paths):
        path.write_text(f"def f{n}(): pass\n")
    backend = Here()
    parsed(paths, backend)
    assert len(backend.jobs) == 1  # all of it is less than that


def test_large_files_do_not_wait_for_fifty(tmp_path):
    paths = [tmp_path / f"l{n}.py" for n in range(12)]
    for path in paths:
        path.write_text("# a long comment is soon parsed, which is not known before\n" * 20_000)
    backend = Here()
    parsed(paths, backend)
    assert len(backend.jobs) >= 3


def test_what_is_ahead_of_the_reader_is_bounded(tree):
    backend, taken = Here(slots=1), []

    def names():
        for path in tree * 50:
            taken.append(path)
            yield path

    with optimize_for_performance(enable_parse_cache=False) as parser:
        results = parser.parse_many(names(), backend=backend)
        next(results)
        time.sleep(0.2)
        assert len(taken) < len(tree) * 40
        results.close()


# --- nodes that die of a file -------------------------------------------------------------------------------


def test_a_batch_that_kills_nodes_is_parsed_in_a_process_of_its_own(tree):
    def dies(backend, fn, *args):
        future = Future()
        if len(backend.jobs) == 1:
            future.set_exception(BrokenExecutor("one node after another died"))
        else:
            future.set_result(fn(*args))
        return future

    assert parsed(tree, Here(run=dies)) == parsed(tree)


def test_a_backend_that_is_lost_is_the_callers_to_know(tree):
    def lost(backend, fn, *args):
        raise ConnectionError("the scheduler was lost")

    with pytest.raises(ConnectionError, match="lost"):
        parsed(tree, Here(run=lost))


# --- the command --------------------------------------------------------------------------------------------


def perfcore(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "perfcore", *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


def test_the_command_says_the_same_with_a_cluster(backend, tree):
    def said(*arguments):
        done = perfcore("parse", "--json", "--no-cache", tree[0].parent, *arguments)
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        for file in document["files"]:
            del file["parse_time"]
        return document["files"], document["skipped"]

    before = len(backend._client.get_events("all"))
    assert said("--cluster", backend.where) == said("--jobs", 1)
    assert len(backend._client.get_events("all")) > before  # it was there


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--cluster", "host:8786"], 2, "Expected an address like tcp://host:8786"),
        (["--cluster", "tcp://127.0.0.1:9", "--jobs", "2"], 2, "its own number of processes"),
    ],
)
def test_the_command_refuses_what_makes_no_sense(tree, arguments, code, message):
    done = perfcore("parse", tree[0], *arguments)
    assert done.returncode == code and message in " ".join(done.stderr.replace("│", " ").split())


# --- the rest -----------------------------------------------------------------------------------------------


def test_the_local_pool_is_a_backend_too(tree):
    with LocalBackend(2, kind="process") as backend:
        assert parsed(tree, backend) == parsed(tree)


def test_bad_input_is_refused(tree):
    with optimize_for_performance(cache_directory=False) as parser:
        with pytest.raises(TypeError, match=r"backend: expected submit\(\) and slots, got object"):
            parser.parse_many(tree, backend=object())
        with pytest.raises(ValueError, match="jobs: a backend has its own"):
            parser.parse_many(tree, backend=Here(), jobs=2)
        assert Path(parser.parse_file(tree[0]).path).name == "a.ts"
    for remote in ("host:6379", [], [1]):
        with pytest.raises(ValueError, match="remote: expected a URL like redis"):
            optimize_for_performance(remote=remote)
    with pytest.raises(TypeError, match="remote"):
        optimize_for_performance(remote=5)
