"""``perfcore simulate``, run as a user runs it."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from xml.etree import ElementTree

import numpy as np
import pytest
import zstandard
from traces import SHIPPED, read_trace

from perfcore import simulate
from perfcore.cli import main, progress

LOOP = SHIPPED / "lirs_loop.u32.zst"  # 505 500 requests for 1 011 keys
KEYS = ["a b", "c", "a b", "d", "a b", "c"]
SIZES = [10, 20, 10, 30, 10, 20]


class Done:
    """How a command ended."""

    def __init__(self, returncode, stdout, stderr):
        self.returncode, self.stdout, self.stderr = returncode, stdout, stderr


@pytest.fixture
def perfcore(tmp_path, monkeypatch, capsys):
    """Run the command in this process: a new one takes half a second to start, and there are many cases."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["perfcore", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def results(perfcore):
    """Return the document that ``--json`` prints."""

    def run(*arguments):
        done = perfcore("simulate", "--json", *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def start(*arguments, **options):
    """Run the command as a process of its own."""
    return subprocess.Popen([sys.executable, "-m", "perfcore", *map(str, arguments)], text=True, **options)


# --- what it says -------------------------------------------------------------------------------------------


def test_the_table_has_a_row_for_each_size_and_a_column_for_each_policy(perfcore):
    done = perfcore("simulate", LOOP, "--sizes", "1000,50%", "--policies", "lru,lfu,adaptive")
    assert done.returncode == 0
    lines = [line.split() for line in done.stdout.splitlines() if line.strip()]
    assert lines[0] == ["505,500", "requests", "for", "1,011", "keys"]
    assert lines[2] == ["size", "of", "all", "lru", "lfu", "adaptive"]
    trace = read_trace("lirs_loop")
    for line, capacity in zip(lines[4:6], (506, 1000), strict=True):
        assert line[0] == f"{capacity:,}" and line[1] == f"{100 * capacity / 1011:.2f}%"
        expected = [simulate(trace, capacity, policy).hit_ratio for policy in ("lru", "lfu", "adaptive")]
        assert line[2:] == [f"{100 * ratio:.2f}" for ratio in expected]
    assert "M requests/s: lru" in done.stdout


def test_json_is_one_document_of_the_documented_shape(results):
    document = results(LOOP, "--sizes", "256,1000", "--seed", "7")
    assert {key: document[key] for key in ("version", "trace", "requests", "distinct", "bytes")} == {
        "version": 1,
        "trace": str(LOOP),
        "requests": 505_500,
        "distinct": 1011,
        "bytes": None,
    }
    found = {(r["policy"], r["capacity"]): r for r in document["results"]}
    assert len(found) == len(document["results"]) == 8
    reference = simulate(read_trace("lirs_loop"), 256, "adaptive", seed=7)
    one = found["adaptive", 256]
    assert (one["hits"], one["evictions"], one["arm"]) == (reference.hits, reference.evictions, reference.arm)
    assert one["hit_ratio"] == one["weight_hit_ratio"] == reference.hit_ratio
    assert one.keys() >= {"policy", "capacity", "requests", "distinct", "switches", "seed", "seconds"}


def test_sizes_are_in_order_and_each_once(results):
    document = results(LOOP, "--sizes", "1000, 10,1000,0.0001%", "--policies", "lru,lru")
    assert [r["capacity"] for r in document["results"]] == [1, 10, 1000]


def test_how_many_threads_work_does_not_change_what_is_found(results):
    one, two = (results(LOOP, "--sizes", "100,1000", "--jobs", jobs)["results"] for jobs in (1, 3))
    assert [{**r, "seconds": 0} for r in one] == [{**r, "seconds": 0} for r in two]


# --- formats ------------------------------------------------------------------------------------------------


def lines(texts):
    return "".join(f"{text}\n" for text in texts).encode()


def numbered(texts):
    numbers = {text: number * 1000 + 2**31 for number, text in enumerate(dict.fromkeys(texts))}
    return np.array([numbers[text] for text in texts], "<u4").tobytes()


def table(delimiter=",", header="time,key,bytes"):
    rows = [
        f'{at}{delimiter}"{key}"{delimiter}{size}'
        for at, (key, size) in enumerate(zip(KEYS, SIZES, strict=True))
    ]
    return lines([header.replace(",", delimiter), *rows] if header else rows)


FORMATS = {
    "lines": ("trace.txt", lines(KEYS), []),
    "no suffix": ("trace", lines(KEYS), []),
    "no newline at the end": ("trace.log", lines(KEYS)[:-1], []),
    "windows": ("trace.txt", lines(KEYS).replace(b"\n", b"\r\n"), []),
    "blank lines": ("trace.txt", b"\n" + lines(KEYS).replace(b"\n", b" \n\n"), []),
    "no text": ("trace.txt", lines(KEYS).replace(b"c", b"\xff\x80"), []),
    "column by name": ("trace.csv", table(), ["--column", "key"]),
    "column by number": ("trace.csv", table(header=None), ["--column", "2"]),
    "first column": ("trace.csv", lines(f'"{key}",1' for key in KEYS), []),
    "number below a header": ("trace.csv", table(), ["--column", "2", "--header"]),
    "byte order mark": (
        "trace.csv",
        b"\xef\xbb\xbf" + table(header="key,time,bytes"),
        ["--column", "2", "--header"],
    ),
    "tabs": ("trace.tsv", table("\t"), ["--column", "key"]),
    "csv by another name": ("trace.dat", table(), ["--column", "key"]),
    "integers": ("trace.u32", numbered(KEYS), []),
}


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "zst"])
@pytest.mark.parametrize("form", FORMATS)
def test_the_same_trace_in_any_format_gives_the_same_result(results, tmp_path, form, compressed):
    name, data, options = FORMATS[form]
    path = tmp_path / (name + ".zst" * compressed)
    path.write_bytes(zstandard.compress(data) if compressed else data)
    if compressed and "." not in name:
        path = path.rename(tmp_path / "trace.zst")
    document = results(path, "--sizes", "1,2,3", "--policies", "lru", *options)
    assert (document["requests"], document["distinct"]) == (6, 3)
    assert [r["hits"] for r in document["results"]] == [0, 2, 3]


def test_the_standard_input_is_a_trace_too():
    with start(
        "simulate", "-", "--json", "--sizes", "2", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        out, _ = process.communicate("\n".join(KEYS), timeout=60)
    assert json.loads(out)["results"][0]["hits"] == 2


def test_several_compressed_frames_are_one_trace(results, tmp_path):
    (tmp_path / "t.zst").write_bytes(zstandard.compress(lines(KEYS)) + zstandard.compress(lines(["c"])))
    assert results(tmp_path / "t.zst")["requests"] == 7


@pytest.mark.parametrize(
    ("name", "data", "column", "sizes"),
    [
        ("t.csv", table(), "key", "bytes"),
        ("t.csv", table(), "2", "bytes"),
        ("t.csv", table(header=None), "2", "3"),
        ("t.txt", lines(KEYS), None, "sizes.txt"),
        ("t.txt", lines(KEYS), None, "sizes.sz32.zst"),
        ("t.u32", numbered(KEYS), None, "sizes.sz32"),
    ],
)
def test_objects_have_sizes(results, tmp_path, name, data, column, sizes):
    (tmp_path / name).write_bytes(data)
    (tmp_path / "sizes.txt").write_bytes(lines(SIZES))
    raw = np.array(SIZES, "<u4").tobytes()
    (tmp_path / "sizes.sz32").write_bytes(raw)
    (tmp_path / "sizes.sz32.zst").write_bytes(zstandard.compress(raw))
    options = ["--object-sizes", sizes] + (["--column", column] if column else [])
    document = results(name, "--sizes", "50%,1KB", "--policies", "lru", *options)
    assert document["bytes"] == 60
    half, whole = document["results"]
    assert (half["capacity"], whole["capacity"]) == (30, 1024)
    assert (half["hits"], half["weight_hit"]) == (1, 10)
    assert (whole["hits"], whole["weight_hit"], whole["weight_requested"]) == (3, 40, 100)
    assert whole["weight_hit_ratio"] == 0.4


def test_the_table_has_bytes_where_objects_have_sizes(perfcore, tmp_path):
    (tmp_path / "t.csv").write_bytes(table())
    done = perfcore("simulate", "t.csv", "--column", "key", "--object-sizes", "bytes", "--sizes", "1KB")
    assert "6 requests for 3 keys, 60B in all" in done.stdout
    assert "byte hit ratio, %" in done.stdout and "40.00" in done.stdout and "50.00" in done.stdout


# --- the picture --------------------------------------------------------------------------------------------


def test_the_curve_is_drawn(perfcore, tmp_path):
    for name in ("curve.png", "curve.svg"):
        done = perfcore("simulate", LOOP, "--sizes", "10%,50%", "--plot", name)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG\r\n")
    svg = ElementTree.parse(tmp_path / "curve.svg")
    ids = {element.get("id") for element in svg.iter()}
    assert {"axes_1", "legend_1"} <= ids
    assert sum(str(name).startswith("line2d") for name in ids) >= 4


def test_without_matplotlib_it_says_how_to_get_it_before_the_work(tmp_path):
    code = (
        "import sys; sys.modules['matplotlib'] = None; "
        f"sys.argv[1:] = ['simulate', {str(LOOP)!r}, '--plot', {str(tmp_path / 'a.png')!r}];"
        "from perfcore.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "perfcore: matplotlib is not installed: pip install 'perfcore[plot]'\n"


# --- bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing argument 'TRACE'"),
        (["missing.txt"], "missing.txt does not exist"),
        (["."], ". is a directory"),
        (["t.txt", "--sizes", "0"], "'0' is neither a number of entries nor a percentage"),
        (["t.txt", "--sizes", "-3"], "'-3' is neither"),
        (["t.txt", "--sizes", "64MB"], "'64MB' is neither a number of entries"),
        (["t.txt", "--sizes", "1.5"], "'1.5' is neither"),
        (["t.txt", "--sizes", "0%"], "'0%' is neither"),
        (["t.txt", "--sizes", "101%"], "'101%' is neither"),
        (["t.txt", "--sizes", "nan%"], "'nan%' is neither"),
        (["t.txt", "--sizes", "10,,20"], "'' is neither"),
        (["t.txt", "--policies", "lru,mru"], "'mru' is none of lru, lfu, random, adaptive"),
        (["t.txt", "--policies", ""], "'' is none of"),
        (["t.txt", "--plot", "curve.gif"], "the name must end with .png, .svg, .pdf"),
        (["t.txt", "--plot", "nowhere/curve.png"], "nowhere is no directory"),
        (["t.txt", "--seed", "-1"], "--seed"),
        (["t.txt", "--jobs", "0"], "--jobs"),
    ],
)
def test_a_wrong_call_is_refused_by_name(perfcore, tmp_path, arguments, said):
    (tmp_path / "t.txt").write_text("a\nb\n")
    done = perfcore("simulate", *arguments)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr and "Traceback" not in done.stderr and done.stdout == ""


@pytest.mark.parametrize(
    ("name", "data", "options", "said"),
    [
        ("t.txt", b"", [], "t.txt: the trace has no requests"),
        ("t.txt", b"\n \n", [], "t.txt: the trace has no requests"),
        ("t.txt.zst", b"", [], "the trace has no requests"),
        ("t.txt.zst", b"plain text", [], "t.txt.zst: "),
        ("t.txt.zst", zstandard.compress(os.urandom(5000))[:-100], [], "the compressed data is cut off"),
        ("t.u32", b"\0" * 9, [], "t.u32: 1 bytes more than whole 4-byte integers"),
        ("t.csv", b"a,b\n1,2\n", ["--column", "key"], "t.csv: no column 'key'; there are 'a', 'b'"),
        ("t.csv", b"", ["--column", "key"], "no column 'key'; there are none"),
        ("t.csv", b"a,b\n", ["--column", "0"], "columns are numbered from 1"),
        ("t.csv", b"1,2\n3\n", ["--column", "2"], "t.csv, line 2: the row has only 1 columns"),
        (
            "t.csv",
            b"a,b\n1,x\n",
            ["--column", "a", "--object-sizes", "b"],
            "t.csv, line 2: 'x' is no size in bytes",
        ),
        (
            "t.csv",
            b"1,-5\n",
            ["--column", "1", "--object-sizes", "2"],
            "line 1: a size is from 0 to 4294967295, not -5",
        ),
        ("t.csv", b"1," + b"9" * 200_000, ["--column", "1"], "t.csv, line 1: field larger than field limit"),
        ("t.txt", b"a\nb\n", ["--object-sizes", "three.txt"], "three.txt: 3 sizes for a trace of 2 requests"),
        ("t.txt", b"a\nb\n", ["--object-sizes", "t.txt"], "t.txt, line 1: 'a' is no size in bytes"),
        ("t.txt", b"a\nb\n", ["--object-sizes", "gone"], "gone: No such file or directory"),
    ],
)
def test_a_trace_that_cannot_be_read_is_refused_by_name(perfcore, tmp_path, name, data, options, said):
    (tmp_path / name).write_bytes(data)
    (tmp_path / "three.txt").write_text("1\n2\n3\n")
    done = perfcore("simulate", name, *options)
    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith("perfcore: ") and said in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""


# --- long runs ----------------------------------------------------------------------------------------------


@pytest.fixture
def long_trace(tmp_path):
    path = tmp_path / "long.u32"
    np.random.default_rng(1).integers(0, 1 << 20, 8 << 20, np.uint32).tofile(path)
    return path


def test_ctrl_c_ends_it_soon(long_trace):
    with start("simulate", long_trace, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr.readline().startswith(("reading: ", "simulating: "))  # it is at work
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == "" and "Traceback" not in err
    assert time.monotonic() - sent < 10  # all of it is half a minute


def test_on_a_terminal_there_is_a_progress_bar(long_trace):
    leader, follower = pty.openpty()
    environment = os.environ | {"TERM": "xterm"}
    with start(
        *("simulate", long_trace, "--sizes", "10%", "--policies", "lru"),
        stdout=subprocess.DEVNULL,
        stderr=follower,
        env=environment,
    ) as process:
        os.close(follower)
        shown = b""
        try:
            while chunk := os.read(leader, 65536):
                shown += chunk
        except OSError:  # EIO: the other side is closed
            pass
    os.close(leader)
    assert process.returncode == 0
    assert b"reading" in shown and b"simulating" in shown and b"%" in shown and "━".encode() in shown


def test_elsewhere_there_is_a_line_now_and_then(long_trace, perfcore, monkeypatch):
    monkeypatch.setattr(progress, "_INTERVAL", 0)
    done = perfcore("simulate", long_trace, "--sizes", "1%", "--policies", "lfu,adaptive")
    assert done.returncode == 0
    for doing in ("reading", "simulating"):
        told = [line for line in done.stderr.splitlines() if line.startswith(f"{doing}: ")]
        shares = [int(line.removeprefix(f"{doing}: ").removesuffix("%")) for line in told]
        assert shares == sorted(shares) and len(shares) >= 1 and shares[-1] <= 100
