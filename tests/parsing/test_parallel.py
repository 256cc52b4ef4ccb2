"""Worker processes: the same answers in the same order, whatever becomes of the processes."""

import os
import subprocess
import sys
import threading
import time
from multiprocessing import spawn
from pathlib import Path
from signal import SIGABRT, SIGSEGV

import psutil
import pytest

from perfcore.parsing import optimize_for_performance

LINES = "x = 1  # some text to parse, so that a crew of processes pays\n" * 400


@pytest.fixture
def tree(tmp_path):
    paths = [tmp_path / f"m{n}.py" for n in range(120)]
    for n, path in enumerate(paths):
        path.write_text(f"def f{n}():\n    class C: pass\n" + LINES)
    return paths


def workers():
    return [
        child
        for child in psutil.Process().children()
        if any("perfcore.parsing.worker" in part for part in child.cmdline())
    ]


def names(results):
    return [[symbol.qualified_name for symbol in result.symbols] for result in results]


EXPECTED = [[f"f{n}", f"f{n}.C"] for n in range(120)]


@pytest.mark.parametrize(
    "options", [{}, {"enable_batching": False}, {"batch_size": 3}, {"batch_size": 10_000}]
)
def test_results_come_in_the_order_of_the_paths(tree, options):
    with optimize_for_performance(cache_directory=False, **options) as parser:
        results = list(parser.parse_many(tree, jobs=2))
        assert [result.path for result in results] == [str(path) for path in tree]
        assert names(results) == EXPECTED
        assert {result.source for result in results} == {"parsed"}
        assert all(0 < result.parse_time < 5 for result in results)
        assert {result.source for result in parser.parse_many(tree, jobs=2)} == {"memory"}


def test_results_equal_those_of_one_process(tree):
    def facts(jobs):
        with optimize_for_performance(enable_parse_cache=False) as parser:
            return [
                [getattr(r, f) for f in r.__struct_fields__ if f != "parse_time"]
                for r in parser.parse_many(tree, jobs=jobs)
            ]

    assert facts(1) == facts(3)


def test_little_work_starts_no_process(tmp_path, parser):
    path = tmp_path / "small.py"
    path.write_text("def f(): pass\n")
    assert [result.source for result in parser.parse_many([path] * 3, jobs=4)] == [
        "parsed",
        "memory",
        "memory",
    ]
    assert workers() == []


def test_processes_are_kept_between_runs_and_end_with_the_parser(tree, tmp_path):
    with optimize_for_performance(enable_parse_cache=False) as parser:
        list(parser.parse_many(tree, jobs=2))
        first = {worker.pid for worker in workers()}
        list(parser.parse_many(tree[:3], jobs=2))
        assert {worker.pid for worker in workers()} == first and len(first) == 2
    assert workers() == []


def test_a_run_that_is_left_early_leaves_no_process_behind(tree):
    with optimize_for_performance(enable_parse_cache=False) as parser:
        run = parser.parse_many(tree, jobs=2)
        next(run)
        assert len(workers()) == 2
        run.close()
        assert workers() == []
        assert names(parser.parse_many(tree, jobs=2)) == EXPECTED


def test_several_runs_of_one_parser_may_go_on_at_once(tree):
    with optimize_for_performance(enable_parse_cache=False) as parser:
        runs = [parser.parse_many(tree, jobs=2) for _ in range(3)]
        assert [names(results) for results in zip(*runs, strict=True)] == [[e] * 3 for e in EXPECTED]


def test_paths_may_come_from_a_generator_of_any_length(tree):
    with optimize_for_performance(enable_parse_cache=False, batch_size=2) as parser:
        taken = []
        run = parser.parse_many((taken.append(path) or path for path in tree), jobs=2)
        next(run)
        assert len(taken) <= 60  # bounded look-ahead: what is not asked for is not all parsed
        assert names(run) == EXPECTED[1:]


def test_killed_processes_are_replaced_and_nothing_is_lost(tree):
    stop = threading.Event()

    def assassin():
        while not stop.wait(0.25):
            for worker in workers()[:1]:
                worker.kill()

    with optimize_for_performance(enable_parse_cache=False) as parser:
        run = parser.parse_many(tree * 5, jobs=2)
        results = [next(run)]
        thread = threading.Thread(target=assassin)
        thread.start()
        try:
            results += run
        finally:
            stop.set()
            thread.join()
    crashed = [result for result in results if result.skipped]
    assert {result.skipped for result in crashed} <= {"crashed"} and len(crashed) <= 5  # hit twice by chance
    assert len(results) == 600
    assert all(n == e for r, n, e in zip(results, names(results), EXPECTED * 5, strict=True) if r.ok)


BOMB = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (500 << 20, 500 << 20))
from perfcore.parsing import optimize_for_performance
with optimize_for_performance(enable_parse_cache=False) as parser:
    for result in parser.parse_many(sys.argv[1:], jobs=2):
        print(result.skipped, result.detail)
"""


def test_a_file_that_kills_its_process_is_tried_again_alone_and_then_named(tree, tmp_path):
    bomb = tmp_path / "bomb.py"
    bomb.write_bytes(b"(" * 9_000_000)  # its syntax tree takes 2 GB, and tree-sitter dies without memory
    paths = [*tree[:60], bomb, *tree[60:]]
    run = subprocess.run(
        [sys.executable, "-c", BOMB, *map(str, paths)], capture_output=True, text=True, check=True
    )
    lines = run.stdout.splitlines()
    assert lines[60] in [f"crashed the worker process ended with {-s}" for s in (SIGABRT, SIGSEGV)]
    assert lines[:60] + lines[61:] == ["None "] * 120


def test_without_processes_the_run_goes_on_in_this_one(tree, monkeypatch, caplog):
    monkeypatch.setattr(spawn, "_python_exe", "/nonexistent/python")
    with optimize_for_performance(enable_parse_cache=False) as parser:
        assert names(parser.parse_many(tree, jobs=2)) == EXPECTED
    assert [r.name for r in caplog.records] == ["perfcore.parsing"]


def test_processes_that_end_before_their_first_file_are_given_up(tree, monkeypatch):
    monkeypatch.setattr(spawn, "_python_exe", "/bin/false")
    with optimize_for_performance(enable_parse_cache=False) as parser:
        assert names(parser.parse_many(tree, jobs=2)) == EXPECTED


def test_the_users_main_module_is_not_run_again(tree, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfrom perfcore.parsing import optimize_for_performance\n"
        "print('main')\n"  # no `if __name__ == '__main__'`
        "with optimize_for_performance(enable_parse_cache=False) as parser:\n"
        "    print(sum(r.ok for r in parser.parse_many(sys.argv[1:], jobs=2)))\n"
    )
    run = subprocess.run([sys.executable, script, *tree], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("main\n120\n", "")


def test_workers_end_when_their_parent_is_killed(tree, tmp_path):
    code = (
        "import sys, time; from perfcore.parsing import optimize_for_performance\n"
        "parser = optimize_for_performance(enable_parse_cache=False)\n"
        "list(parser.parse_many(sys.argv[1:], jobs=2)); print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, *tree], stdout=subprocess.PIPE) as parent:
        parent.stdout.readline()
        children = psutil.Process(parent.pid).children()
        assert len(children) == 2
        parent.kill()
    assert psutil.wait_procs(children, timeout=10)[1] == []


def test_a_forked_child_leaves_its_parents_workers_alone(tree):
    with optimize_for_performance(enable_parse_cache=False) as parser:
        list(parser.parse_many(tree, jobs=2))
        before = {worker.pid for worker in workers()}
        child = os.fork()
        if child == 0:
            parser.close()
            os._exit(0 if parser.parse_file(tree[0]).ok else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert names(parser.parse_many(tree, jobs=2)) == EXPECTED
        assert {worker.pid for worker in workers()} == before


@pytest.mark.parametrize("jobs", [0, -1])
def test_jobs_is_at_least_one(parser, jobs):
    with pytest.raises(ValueError, match="jobs: expected at least 1"):
        parser.parse_many([], jobs=jobs)


async def test_files_are_parsed_beside_the_event_loop(tree):
    import asyncio

    ticks = []

    async def tick():
        while True:
            ticks.append(time.perf_counter())
            await asyncio.sleep(0.001)

    async with optimize_for_performance(cache_directory=False, max_concurrency=2) as parser:
        ticker = asyncio.create_task(tick())
        results = await asyncio.gather(*map(parser.aparse_file, tree))
        ticker.cancel()
    assert names(results) == EXPECTED
    assert len(ticks) > 5


def test_threads_share_a_parser(tree):
    found = {}
    with optimize_for_performance(cache_directory=False) as parser:

        def work(number):
            found[number] = names(parser.parse_file(path) for path in tree)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stats = parser.stats()
    assert found == dict.fromkeys(range(4), EXPECTED)
    assert stats.parsed + stats.memory_hits == 4 * len(tree)


def test_nothing_is_read_from_a_path_relative_to_another_directory(tmp_path, monkeypatch, parser):
    for directory, text in (("one", "def one(): pass"), ("two", "def two(): pass")):
        Path(tmp_path, directory).mkdir()
        Path(tmp_path, directory, "a.py").write_text(text)
        monkeypatch.chdir(tmp_path / directory)
        assert parser.parse_file("a.py").symbols[0].name == directory
