"""Every command explains itself, and says in one line what was wrong with a call."""

import sys

import pytest

from perfcore.cli.root import app, run

WRONG = [
    ["nonsense"],
    ["--versio"],
    ["parse"],
    ["parse", "--jobs", "x", "."],
    ["parse", ".", "--remote", "nowhere"],
    ["parse", ".", "--cluster", "nowhere"],
    ["cache", "stats"],
    ["cache", "stats", "/nonexistent"],
    ["cache", "ls", "--url"],
    ["cache", "get", "--literal", ".", "(1"],
    ["config", "show", "-k", "caching.nothing"],
    ["simulate", "/nonexistent"],
    ["simulate", "-", "--policies", "best"],
    ["simulate", "-", "--plot", "curve.bmp"],
    ["top"],
    ["top", "http://user:secret@host/"],
    ["alerts", "test", "one"],
]
FAILED = [
    ["dashboard", "/nonexistent"],
    ["alerts", "rules", "/nonexistent.toml"],
    ["config", "show", "/nonexistent.toml"],
    ["parse", "/nonexistent"],
    ["top", "127.0.0.1:1"],
    ["cache", "export", ".", "/nonexistent/file"],
]


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Calls the command; returns its exit code, its output and its errors."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["perfcore", *arguments])
        with pytest.raises(SystemExit) as ended:
            run()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return call


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_a_wrong_call_is_one_line_and_2(arguments, call):
    code, out, err = call(*arguments)
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert err.startswith("perfcore") and "Traceback" not in err and "secret" not in err


@pytest.mark.parametrize("arguments", FAILED, ids=" ".join)
def test_what_cannot_be_done_is_1_and_named(arguments, call):
    code, _, err = call(*arguments)
    assert code == 1 and "Traceback" not in err and "Errno" not in err
    assert any(word in err for word in ("nonexistent", "127.0.0.1"))


def test_without_a_command_the_help_is_shown(call):
    code, out, err = call()
    assert code == 2 and "Usage: perfcore" in out + err


def commands(group=None, path=()):
    group = group or app
    for one in group.registered_commands:
        yield (*path, one.name)
    for one in group.registered_groups:
        if not one.hidden:
            yield from commands(one.typer_instance, (*path, one.name))


@pytest.mark.parametrize("path", [*commands()], ids=" ".join)
def test_each_command_says_what_it_does_and_what_it_takes(path, call):
    code, out, err = call(*path, "--help")
    assert (code, err) == (0, "") and f"Usage: perfcore {' '.join(path)}" in out
    assert "``" not in out and ":meth:" not in out and ":exc:" not in out
    usage = next(line for line in out.splitlines() if "Usage:" in line)
    assert "{key}" not in usage and "[file]" not in usage  # what stands for something is in capitals


def test_a_setting_is_looked_up_by_its_name(call):
    code, out, _ = call("config", "show", "--key", "caching.policies", "-k", "monitoring.interval")
    assert code == 0
    names = [line.partition(" = ")[0] for line in out.splitlines()]
    assert "monitoring.interval" in names
    assert all(name.startswith("caching.policies.") or name == "monitoring.interval" for name in names)
