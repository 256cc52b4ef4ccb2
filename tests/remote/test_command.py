"""``perfcore cache --url``, run as a user runs it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest
import valkey

from perfcore.cache import RemoteCache, codec


@codec.allow
@dataclass
class Private:
    """A class that the command does not know."""

    text: str


@pytest.fixture
def filled(server):
    valkey.Valkey(port=server.port).flushall()
    with RemoteCache(server.url, timeout=5) as cache:
        cache["plain"] = {"a": [1, None]}
        cache["user", 1] = "a string"
        cache.set("short", 1, ttl=1000, tags=["t"])
        cache["mine"] = Private("secret")
        yield cache


def perfcore(*arguments):
    """Return code, output and complaints of the command."""
    done = subprocess.run(
        [sys.executable, "-m", "perfcore", "cache", *map(str, arguments)],
        capture_output=True,
        env=os.environ | {"COLUMNS": "100"},
        timeout=60,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def test_it_looks_into_a_server_and_runs_nothing(filled, server):
    where = ("--url", server.url)
    code, out, _ = perfcore("stats", *where, "--json")
    found = json.loads(out)
    assert (code, found["entries"], found["problems"]) == (0, 4, [])
    assert [one["serving"] for one in found["servers"].values()] == [True]
    listed = json.loads(perfcore("ls", *where, "--json")[1])["entries"]
    assert sorted(entry["key"] for entry in listed) == ["'mine'", "'plain'", "'short'", "('user', 1)"]
    assert perfcore("get", "('user', 1)", "-l", *where) == (0, "a string\n", "")
    assert json.loads(perfcore(*where, "get", "plain", "--json")[1])["value"] == {"a": [1, None]}
    assert perfcore("get", "mine", *where)[0] == 1
    assert filled["mine"] == Private("secret")  # not understood, and not removed either
    assert perfcore("get", "none", *where)[:2] == (1, "")


def test_it_removes(filled, server):
    assert perfcore("rm", "plain", "none", f"--url={server.url}")[:2] == (0, "removed 1\n")
    assert "plain" not in filled
    assert perfcore("clear", "--url", server.url)[:2] == (0, "removed 3\n")
    assert perfcore("rm", "short", "--url", server.url)[0] == 1


def test_it_says_that_nobody_answers():
    code, _, complaint = perfcore("stats", "--url", "redis://:secret@127.0.0.1:1")
    assert code == 2
    assert "127.0.0.1:1" in complaint
    assert "secret" not in complaint
