"""What is parsed once is not parsed again, and what changed is never mistaken for what it was."""

# ruff: noqa: PTH104, PTH105, PTH116 (the calls themselves are what is tested)

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfcore.parsing import optimize_for_performance
from perfcore.parsing.fingerprint import Fingerprint, is_settled


def sources(parser, paths, **options):
    return Counter(result.source for result in parser.parse_many(paths, **options))


def bytes_read():
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.fixture
def disk_parser(tmp_path):
    """Make parsers over one cache directory; each has an empty memory."""
    made = []

    def make(**options):
        parser = optimize_for_performance(cache_directory=tmp_path / "cache", **options)
        made.append(parser)
        return parser

    yield make
    for parser in made:
        parser.close()


def same(first, second):
    """Equal in all but where the answer came from."""
    fields = set(first.__struct_fields__) - {"source", "parse_time", "path"}
    return all(getattr(first, field) == getattr(second, field) for field in fields)


def test_an_unchanged_file_is_answered_from_memory_without_reading_it(parser, write):
    (name,) = write(settle=True, large__py="x = 1\n" * 100_000 + "def f(): pass\n")
    first = parser.parse_file(name)
    before = bytes_read()
    second = parser.parse_file(name)
    assert (first.source, second.source) == ("parsed", "memory")
    assert bytes_read() - before < 10_000
    assert same(first, second)
    assert second.parse_time < first.parse_time / 20


def test_after_a_restart_an_unchanged_file_is_answered_from_disk_without_reading_it(disk_parser, write):
    (name,) = write(settle=True, large__py="x = 1\n" * 100_000 + "def f(): pass\n")
    with disk_parser() as parser:
        first = parser.parse_file(name)
    with disk_parser() as parser:
        parser.parse_file(__file__)  # opens everything
        before = bytes_read()
        second = parser.parse_file(name)
        assert bytes_read() - before < 10_000
        assert (second.source, parser.parse_file(name).source) == ("disk", "memory")
    assert same(first, second)


@pytest.mark.parametrize("tier", ["memory", "disk"])
def test_a_touched_file_is_recognised_by_its_content(disk_parser, write, tier):
    (name,) = write(a__py="def f(): pass\n")
    with disk_parser() as parser:
        parser.parse_file(name)
        os.utime(name)
        if tier == "memory":
            assert parser.parse_file(name).source == "memory"
    os.utime(name)
    with disk_parser() as parser:
        assert parser.parse_file(name).source == "disk"


def test_copied_and_moved_files_are_recognised_by_their_content(disk_parser, write, tmp_path):
    (name,) = write(a__py="def f(): pass\n")
    parser = disk_parser()
    parser.parse_file(name)
    shutil.copy(name, tmp_path / "copy.py")
    os.rename(name, tmp_path / "moved.py")
    assert [parser.parse_file(tmp_path / n).source for n in ("copy.py", "moved.py")] == ["disk", "disk"]


def test_the_same_content_in_another_language_is_another_content(disk_parser, write):
    c, cpp = write(a__c="int f() { return 0; }\n", a__cpp="int f() { return 0; }\n")
    parser = disk_parser()
    assert [parser.parse_file(n).language for n in (c, cpp)] == ["c", "cpp"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_after_a_change_of_some_files_only_those_are_parsed(disk_parser, tmp_path, jobs):
    paths = [tmp_path / f"m{n}.py" for n in range(300)]
    for n, path in enumerate(paths):
        path.write_text(f"def f{n}(): pass\n" + "# filler\n" * 300)
    with disk_parser() as parser:
        assert sources(parser, paths, jobs=jobs) == {"parsed": 300}
        for n in (7, 133, 299):
            paths[n].write_text(f"def changed{n}(): pass\n")
        assert sources(parser, paths, jobs=jobs) == {"parsed": 3, "memory": 297}
        for n in (0, 1, 2):
            paths[n].write_text(f"def changed{n}(): pass\n")
    with disk_parser() as parser:
        results = list(parser.parse_many(paths, jobs=jobs))
    assert Counter(result.source for result in results) == {"parsed": 3, "disk": 297}
    names = [result.symbols[0].name for result in results]
    assert names == [f"changed{n}" if n in (0, 1, 2, 7, 133, 299) else f"f{n}" for n in range(300)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["write", "replace", "keep-time", "touch"])))
)
def test_a_change_within_one_tick_of_the_clock_is_seen(tmp_path, parser, edits):
    """Same size, same inode or not, same modification time or not: the last text always wins."""
    path = tmp_path / "tick.py"
    path.write_text("def f0(): pass\n")
    current = 0
    for number, how in edits:
        before = path.stat()
        if how == "touch":
            os.utime(path)
        else:
            target = tmp_path / "new.py" if how == "replace" else path
            target.write_text(f"def f{number}(): pass\n")
            if how == "replace":
                os.replace(target, path)
            if how == "keep-time":
                os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
            current = number
        assert parser.parse_file(path).symbols[0].name == f"f{current}"


def test_the_change_time_gives_away_a_modification_time_that_was_set_back(parser, write):
    (name,) = write(settle=True, a__py="def f1(): pass\n")
    assert parser.parse_file(name).symbols[0].name == "f1"
    before = os.stat(name)
    Path(name).write_text("def f2(): pass\n")
    os.utime(name, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert parser.parse_file(name).symbols[0].name == "f2"


@pytest.mark.parametrize("seconds", [-300_000_000, 0, 2**33, 2**40])
def test_a_file_may_claim_to_be_from_any_year(disk_parser, write, seconds):
    (name,) = write(a__py="def f(): pass\n")
    os.utime(name, (0, seconds))
    time.sleep(0.15)
    with disk_parser() as parser:
        assert sources(parser, [name] * 2) == {"parsed": 1, "memory": 1}
    with disk_parser() as parser:
        assert sources(parser, [name] * 2) == {"disk": 1, "memory": 1}


def test_a_file_is_trusted_by_its_stamps_only_once_they_cannot_stand_still():
    second = 1_000_000_000
    fine, coarse = Fingerprint(0, 5 * second + 1, 1, 1), Fingerprint(0, 5 * second, 1, 1)
    assert not is_settled(fine, 5 * second + 50_000_000)
    assert is_settled(fine, 5 * second + 200_000_000)
    assert not is_settled(coarse, 6 * second + 900_000_000)
    assert is_settled(coarse, 7 * second + 1)


def test_results_expire_after_cache_ttl(write):
    (name,) = write(a__py="def f(): pass\n")
    with optimize_for_performance(cache_directory=False, cache_ttl=0.2) as parser:
        parser.parse_file(name)
        assert parser.parse_file(name).source == "memory"
        time.sleep(0.25)
        assert parser.parse_file(name).source == "parsed"


def test_memory_stays_within_cache_size(tmp_path):
    paths = [tmp_path / f"m{n}.py" for n in range(50)]
    for path in paths:
        path.write_text("".join(f"def f{n}(): pass\n" for n in range(20)))
    with optimize_for_performance(cache_directory=False, cache_size="64KB") as parser:
        sources(parser, paths)
        again = sources(parser, reversed(paths))
    assert 0 < again["memory"] < 20


def test_without_a_cache_everything_is_parsed_again(write):
    names = write(a__py="x = 1\n", b__c="int x;\n")
    with optimize_for_performance(enable_parse_cache=False) as parser:
        assert sources(parser, names * 2) == {"parsed": 4}
        assert parser.stats().parsed == 4


def test_clearing_forgets_both_tiers(disk_parser, write):
    names = write(a__py="x = 1\n")
    parser = disk_parser()
    sources(parser, names)
    parser.clear_cache()
    assert sources(parser, names) == {"parsed": 1}


def test_what_is_no_source_text_is_not_read_again_either(disk_parser, write):
    names = write(settle=True, a__bin=b"\0" * 500_000, b__txt=b"words " * 100_000)
    with disk_parser() as parser:
        sources(parser, names)
    with disk_parser() as parser:
        parser.parse_file(__file__)
        before = bytes_read()
        assert [parser.parse_file(name).skipped for name in names] == ["binary", "unknown-language"]
        assert bytes_read() - before < 10_000


def test_another_version_of_the_rules_is_a_miss(disk_parser, write, monkeypatch):
    (name,) = write(settle=True, a__go="package p\nfunc f() {}\n")
    with disk_parser() as parser:
        parser.parse_file(name)
    from perfcore.parsing import languages

    monkeypatch.setattr(languages.load("go"), "schema", "go-of-next-year")
    with disk_parser() as parser:
        assert parser.parse_file(name).source == "parsed"
        assert parser.parse_file(name).source == "memory"


def test_a_record_that_makes_no_sense_is_a_miss(tmp_path, write):
    from perfcore.cache import DiskCache
    from perfcore.parsing import store

    (name,) = write(settle=True, a__py="def f(): pass\n")
    with optimize_for_performance(cache_directory=tmp_path / "cache") as parser:
        result = parser.parse_file(name)
    disk = DiskCache(tmp_path / "cache")
    for junk in (b"", b"\xc1", b"\x93\x01\x02\x03", 7, None, "text"):
        disk.set(store.content_key("python", result.content_hash), junk)
        disk.flush()
        with optimize_for_performance(cache_directory=tmp_path / "cache") as parser:
            assert parser.parse_file(name).source == "parsed"
    disk.close()


def test_what_a_killed_process_had_not_written_is_read_again_but_not_parsed(tmp_path, write):
    names = write(settle=True, a__py="def f(): pass\n", b__c="int f(void) { return 0; }\n")
    code = (
        "import os, sys, time; from perfcore.parsing import optimize_for_performance\n"
        "parser = optimize_for_performance(cache_directory=sys.argv[1])\n"
        "list(parser.parse_many(sys.argv[2:], jobs=1)); time.sleep(0.5); os.kill(os.getpid(), 9)"
    )
    run = subprocess.run([sys.executable, "-c", code, tmp_path / "cache", *names])
    assert run.returncode == -9
    with optimize_for_performance(cache_directory=tmp_path / "cache") as parser:
        assert sources(parser, names) == {"disk": 2}


def test_directories_without_number_take_bounded_memory(disk_parser, tmp_path, monkeypatch):
    from perfcore.parsing import index

    monkeypatch.setattr(index, "_MOST_PAGES", 3)
    paths = [tmp_path / f"d{n}" / f"{m}.py" for n in range(10) for m in range(3)]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"def {path.parent.name}_{path.stem}(): pass\n")
    time.sleep(0.15)
    with disk_parser() as parser:
        assert sources(parser, paths) == {"parsed": 30}
    with disk_parser() as parser:
        assert sources(parser, paths) == {"disk": 30}
        assert len(parser._resources().store._index._pages) <= 3


def test_two_runs_at_once_on_one_cache_directory_both_finish(tmp_path):
    names = [str(tmp_path / f"m{n}.py") for n in range(200)]
    for n, name in enumerate(names):
        Path(name).write_text(f"def f{n}(): pass\n")
    code = (
        "import sys; from perfcore.parsing import optimize_for_performance\n"
        "with optimize_for_performance(cache_directory=sys.argv[1]) as parser:\n"
        "    for result in parser.parse_many(sys.argv[2:], jobs=1):\n"
        "        print(result.path, result.skipped, *(symbol.name for symbol in result.symbols))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "cache"), *names]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    expected = [f"{name} None f{n}" for n, name in enumerate(names)]
    for run in runs:
        assert run.communicate(timeout=120)[0].splitlines() == expected
        assert run.returncode == 0
    with optimize_for_performance(cache_directory=tmp_path / "cache") as parser:
        assert sources(parser, names) == {"disk": 200}


def test_a_forked_child_goes_on_with_its_own_caches(disk_parser, write):
    (name,) = write(a__py="def f(): pass\n")
    parser = disk_parser()
    parser.parse_file(name)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if parser.parse_file(name).symbols[0].name == "f" else 2
            parser.close()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert parser.parse_file(name).source == "memory"


def test_a_parser_can_be_used_after_it_was_closed(disk_parser, write):
    (name,) = write(a__py="def f(): pass\n")
    parser = disk_parser()
    parser.parse_file(name)
    parser.close()
    parser.close()
    assert parser.parse_file(name).source == "disk"


def test_nothing_is_opened_before_the_first_file(tmp_path):
    code = (
        "import os, sys, threading; before = {*sys.modules};"
        "from perfcore.parsing import optimize_for_performance;"
        f"p = optimize_for_performance(cache_directory={str(tmp_path / 'cache')!r}); p.close();"
        "assert threading.active_count() == 1;"
        "assert not {'lmdb', 'tree_sitter', 'psutil', 'multiprocessing'} & ({*sys.modules} - before)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert not (tmp_path / "cache").exists()
