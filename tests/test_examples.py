"""The example programs do what they say."""

import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"


def run(name, *arguments):
    """Return the lines that an example prints; its warnings and errors must be none."""
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_each_example_is_listed_and_tested():
    listed = (EXAMPLES / "README.md").read_text()
    here = Path(__file__).read_text()
    for path in EXAMPLES.glob("*.py"):
        assert f"`{path.name}`" in listed and f'run("{path.name}"' in here


@pytest.mark.parametrize("name", ["web_service", "batch_etl", "many_processes", "source_index"])
def test_an_example_that_is_called_wrongly_says_how_it_is_called(name):
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1 and f"python examples/{name}.py" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_batch_job_looks_nothing_up_twice_in_its_second_run_either(tmp_path):
    first, second = (run("batch_etl.py", tmp_path) for _ in range(2))
    assert first[0] == second[0]
    assert (first[1], second[1]) == ("lookups: 97", "lookups: 0")


def test_a_client_goes_on_with_what_it_knew():
    assert run("api_client.py") == [
        "21 calls, 2 requests",
        "the service is down, and the rate is still 1.01",
        "it is back: a new rate",
    ]


def test_of_many_processes_one_computes_each_day(tmp_path):
    for _ in range(2):
        assert run("many_processes.py", tmp_path) == [
            "4 processes have {'the report'}, computed 1 time(s)",
            "a later process finds 'the report'",
            "and after the day has ended None",
        ]


def test_an_index_is_made_anew_only_of_what_has_changed(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "shop.py").write_text("class Cart:\n    def add(self): ...\n")
    (tree / "tax.py").write_text("def rate(): ...\n")
    index = tree, "add", tmp_path / "cache"
    assert run("source_index.py", *index) == [
        "method Cart.add in shop.py:2",
        "2 files, of which 2 were parsed",
    ]
    (tree / "tax.py").write_text("def add(): ...\n")
    assert run("source_index.py", *index) == [
        "method Cart.add in shop.py:2",
        "function add in tax.py:1",
        "2 files, of which 1 were parsed",
    ]


def test_a_service_answers_shows_its_figures_and_ends_when_asked():
    command = [sys.executable, "-W", "error", EXAMPLES / "web_service.py", "0", "0"]
    service = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        pages, figures = re.findall(r"http://[\d.:]+/", service.stdout.readline())
        for _ in range(3):
            with urlopen(f"{pages}pear") as answer:
                assert answer.read() == b"<!doctype html><title>pear</title><p>All about pear."
        with urlopen(f"{pages}%3Cb%3E") as answer:
            assert b"<b>" not in answer.read()  # whose address it is has no say in the page
        with urlopen(f"{figures}metrics") as answer:
            assert b"perfcore_" in answer.read()
    finally:
        service.send_signal(signal.SIGINT)
        out, err = service.communicate(timeout=60)
    assert (service.returncode, out, err) == (0, "bye\n", "")  # run("web_service.py") would not end
