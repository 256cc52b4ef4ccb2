"""``perfcore parse``, run as a user runs it."""

# ruff: noqa: PTH118, PTH119, PTH123 (names that are no text)

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from perfcore import __version__


@pytest.fixture
def perfcore(tmp_path):
    """Run the command with a cache of its own."""

    def run(*arguments, env=None, **options):
        environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "xdg"), "COLUMNS": "100"} | (env or {})
        return subprocess.run(
            [sys.executable, "-m", "perfcore", *map(str, arguments)],
            capture_output=True,
            text=True,
            env=environment,
            timeout=120,
            **options,
        )

    return run


@pytest.fixture
def tree(tmp_path):
    """Two good files, one broken, and one of each kind that is passed over."""
    top = tmp_path / "tree"
    (top / "pkg").mkdir(parents=True)
    (top / "pkg" / "a.py").write_text("import os\nclass A:\n    def f(self): pass\n")
    (top / "b.ts").write_text("export function g() {}\n")
    (top / "broken.py").write_text("def (:\n")
    (top / "data.bin").write_bytes(b"\0\1")
    (top / "notes.txt").write_text("hi")
    (top / "made.py").write_text("x = 1\n")
    (top / ".gitignore").write_text("made.py\n")
    os.mkfifo(top / "fifo.py")
    return top


def test_the_table_says_what_was_found_and_what_was_passed_over(perfcore, tree):
    done = perfcore("parse", tree)
    assert done.returncode == 0
    rows = {
        cells[0].strip(): cells[-1]
        for line in done.stdout.splitlines()
        if len(cells := line.rsplit(maxsplit=1)) == 2
    }
    assert rows["files"] == "3" and rows["symbols"] == "3" and rows["parsed"] == "3"
    assert rows["skipped, binary"] == rows["skipped, ignored"] == rows["skipped, special-file"] == "1"
    assert rows["skipped, unknown-language"] == "2"
    assert f"{tree / 'broken.py'}:1:1: unexpected" in done.stderr
    assert "parsing: 7 of 7 files" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_json_is_one_document_of_the_documented_shape(perfcore, tree):
    done = perfcore("parse", "--json", tree)
    document = json.loads(done.stdout)
    assert done.returncode == 0 and document["version"] == 1
    assert {"files", "skipped", "summary"} < document.keys()
    files = {os.path.relpath(file["path"], tree): file for file in document["files"]}
    assert files.keys() == {"pkg/a.py", "b.ts", "broken.py"}
    a = files["pkg/a.py"]
    assert (a["language"], a["source"], a["size"], a["encoding"]) == ("python", "parsed", 41, "utf-8")
    assert a["symbols"][1] == {
        "kind": "method",
        "name": "f",
        "qualified_name": "A.f",
        "first_line": 3,
        "start_line": 3,
        "end_line": 3,
        "start_byte": 23,
        "end_byte": 40,
    }
    assert a["imports"] == [{"module": "os", "name": None, "alias": None, "line": 1}]
    assert len(a["content_hash"]) == 64 and a["parse_time"] > 0 and a["node_count"] > 10
    assert files["broken.py"]["syntax_errors"][0]["line"] == 1
    reasons = {os.path.basename(skip["path"]): skip["reason"] for skip in document["skipped"]}
    assert reasons == {
        "data.bin": "binary",
        "notes.txt": "unknown-language",
        ".gitignore": "unknown-language",
        "made.py": "ignored",
        "fifo.py": "special-file",
    }
    assert document["summary"]["sources"] == {"parsed": 3, "memory": 0, "disk": 0}
    assert document["summary"]["files_with_syntax_errors"] == 1


def test_a_second_run_is_answered_from_disk_until_the_cache_is_cleared_or_not_used(perfcore, tree, tmp_path):
    def sources(*arguments):
        found = json.loads(perfcore("parse", "--json", tree, *arguments).stdout)["summary"]["sources"]
        return {tier: count for tier, count in found.items() if count}

    assert sources() == {"parsed": 3}
    assert sources() == {"disk": 3}
    assert sources("--no-cache") == {"parsed": 3}
    assert sources("--clear-cache") == {"parsed": 3}
    assert sources() == {"disk": 3}
    assert sources("--cache-dir", tmp_path / "other") == {"parsed": 3}
    assert sources("--cache-dir", tmp_path / "other") == {"disk": 3}
    assert perfcore("parse", "--clear-cache").returncode == 0
    assert sources() == {"parsed": 3}


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["."], 0),
        (["--strict", "."], 1),
        (["--strict", "pkg", "b.ts", "data.bin"], 0),
        (["--strict", "pkg", "missing.py"], 1),
        (["pkg", "missing.py"], 0),
        (["missing.py"], 1),
        (["fifo.py", "data.bin", "notes.txt"], 1),
        (["empty"], 1),
        ([], 2),
        (["--jobs", "0", "."], 2),
        (["--jobs", "2", "--cluster", "local", "."], 2),
        (["--jobs", "many", "."], 2),
        (["--no-such-option", "."], 2),
    ],
)
def test_exit_codes(perfcore, tree, arguments, status):
    (tree / "empty").mkdir()
    done = perfcore("parse", *arguments, cwd=tree)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr


def test_of_many_broken_files_the_first_are_named_and_the_rest_counted(perfcore, tmp_path):
    for number in range(120):
        (tmp_path / f"broken{number}.py").write_text("def (:\n")
    lines = perfcore("parse", tmp_path).stderr.splitlines()
    named = [line for line in lines if "broken" in line]
    assert named and f"... and {120 - len(named)} more files" in lines


def test_patterns_and_ignore_files_can_be_chosen(perfcore, tree):
    def files(*arguments):
        found = json.loads(perfcore("parse", "--json", tree, *arguments).stdout)["files"]
        return {os.path.relpath(file["path"], tree) for file in found}

    assert files("--exclude", "pkg/", "--exclude", "*.ts") == {"broken.py"}
    assert files("--no-ignore") == {"pkg/a.py", "b.ts", "broken.py", "made.py"}


def test_file_names_that_are_no_text_or_control_the_terminal_are_harmless(perfcore, tmp_path):
    for name in (b"bad\xff.py", b"\x1b[31mred.py", b"[bold]new\nline.py"):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(b"def (:\n")
    done = perfcore("parse", tmp_path)
    assert done.returncode == 0 and "\x1b" not in done.stderr
    assert (
        "bad\\xff.py" in done.stderr
        and "\\x1b[31mred.py" in done.stderr
        and "[bold]new\\nline.py" in done.stderr
    )
    paths = [file["path"] for file in json.loads(perfcore("parse", "--json", tmp_path).stdout)["files"]]
    assert os.fsencode(tmp_path) + b"/bad\xff.py" in map(os.fsencode, paths)


def test_a_reader_that_leaves_early_is_no_error(tree):
    for n in range(300):
        (tree / f"m{n}.py").write_text(f"def f{n}(): pass\n" * 40)
    command = (
        f"{sys.executable} -m perfcore parse --json --no-cache {tree} | head -c 100; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout.startswith('{"version": 1') and done.stdout.endswith("0\n")
    assert "Error" not in done.stderr and "Traceback" not in done.stderr


def wait_until_it_reads(pid, size):
    """Wait until a process and its children have read more than starting up takes."""
    family = psutil.Process(pid)
    for _ in range(2400):
        if sum(one.io_counters().read_chars for one in [family, *family.children(recursive=True)]) > size:
            return
        time.sleep(0.05)
    pytest.fail("the command does not read its files")


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_ends_cleanly(tree, jobs):
    (tree / "m.py").write_text("def f(): pass\n" * 20_000)
    for n in range(2000):  # far more than can be parsed before the signal
        os.link(tree / "m.py", tree / f"m{n}.py")
    command = [sys.executable, "-m", "perfcore", "parse", "--no-cache", "--jobs", str(jobs), str(tree)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_until_it_reads(process.pid, 40 << 20)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err and out == ""


def test_on_a_terminal_there_is_a_progress_bar(tree):
    for n in range(200):
        (tree / f"m{n}.py").write_text(f"def f{n}(): pass\n" * 100)
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "perfcore", "parse", "--no-cache", str(tree)]
    environment = os.environ | {"TERM": "xterm"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=follower, env=environment) as process:
        os.close(follower)
        shown = b""
        try:
            while chunk := os.read(leader, 65536):
                shown += chunk
        except OSError:  # EIO: the other side is closed
            pass
    os.close(leader)
    assert process.returncode == 0
    assert b"/207" in shown and b"\x1b[" in shown and "━".encode() in shown


def test_output_to_a_place_that_takes_only_ascii(perfcore, tree):
    done = perfcore("parse", "--twice", tree, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0 and done.stdout.isascii()


def test_a_cache_that_cannot_be_used_is_said_once_and_the_work_goes_on(perfcore, tree, tmp_path):
    taken, damaged = tmp_path / "taken", tmp_path / "damaged"
    taken.write_text("a file")
    damaged.mkdir()
    (damaged / "data.mdb").write_bytes(os.urandom(20_000))
    for directory in (taken, damaged):
        done = perfcore("parse", "--json", "--jobs", "2", "--cache-dir", directory, tree)
        assert done.returncode == 0 and json.loads(done.stdout)["summary"]["sources"]["parsed"] == 3
        assert done.stderr.count("perfcore.cache") == 1 and "Traceback" not in done.stderr


def test_twice_shows_cold_warm_and_disk_side_by_side(perfcore, tree):
    done = perfcore("parse", "--twice", "--jobs", "1", tree)
    assert done.returncode == 0
    rows = {line[:24].strip(): line[24:].split() for line in done.stdout.splitlines()[2:]}
    assert rows["parsed"] == ["3", "0", "0"]
    assert rows["memory hits"] == ["0", "3", "0"]
    assert rows["disk hits"] == ["0", "0", "3"]
    assert {
        "bytes",
        "symbols",
        "seconds",
        "files/s",
        "p50 per file",
        "p95 per file",
        "p99 per file",
        "speed-up",
        "speed-up per file",
    } < {*rows}


def test_version_says_how_the_native_part_was_built(perfcore):
    done = perfcore("--version")
    assert done.stdout.startswith(f"perfcore {__version__}\n")
    rows = dict(line.split(maxsplit=1) for line in done.stdout.splitlines()[1:])
    assert rows.keys() >= {"mode", "optimized", "compiler", "cython", "python"}


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_the_command_says_how_to_get_it(missing):
    code = f"import sys; sys.modules[{missing!r}] = None; from perfcore.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == f"perfcore: {missing} is not installed: pip install 'perfcore[cli]'\n"


@pytest.mark.parametrize("missing", ["tree_sitter", "tree_sitter_python", "pathspec"])
def test_without_the_parser_the_command_says_how_to_get_it(missing, tree):
    code = (
        f"import sys; sys.modules[{missing!r}] = None; sys.argv[1:] = ['parse', '--no-cache', {str(tree)!r}];"
        "from perfcore.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert (
        done.stderr.splitlines()[-1] == f"perfcore: {missing} is not installed: pip install 'perfcore[parse]'"
    )


def test_the_installed_command_is_this_one():
    script = Path(sys.executable).with_name("perfcore")
    done = subprocess.run([script, "--version"], capture_output=True, text=True)
    assert done.stdout.startswith(f"perfcore {__version__}")
