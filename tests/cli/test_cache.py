"""``perfcore cache``, run as a user runs it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from perfcore.cache import DiskCache, codec
from perfcore.cache.codec import Codec
from perfcore.cache.disk.environment import DATA_FILE


@codec.allow
@dataclass
class Private:
    """A class that the command does not know."""

    text: str


@pytest.fixture
def folder(tmp_path):
    with DiskCache(tmp_path / "cache", maxbytes="8MB") as cache:
        cache["plain"] = {"a": [1, None], "b": "text"}
        cache["user", 1] = "a string"
        cache.set("short", 1, ttl=1000, tags=["t"])
        cache["set"] = {1}
        cache["mine"] = Private("secret")
    return tmp_path / "cache"


def perfcore(*arguments, **options):
    """Return code, output and complaints of the command."""
    done = subprocess.run(
        [sys.executable, "-m", "perfcore", "cache", *map(str, arguments)],
        capture_output=True,
        env=os.environ | {"COLUMNS": "100"},
        timeout=60,
        **options,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def document(*arguments):
    code, out, err = perfcore(*arguments, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found.pop("version") == 1
    return found


def test_stats_and_ls_tell_what_is_there(folder):
    figures = document("stats", folder)
    assert figures["entries"] == 5
    assert 0 < figures["bytes"] <= figures["file_bytes"]
    listed = document("ls", folder)["entries"]
    assert [entry["key"] for entry in listed] == ["'plain'", "('user', 1)", "'short'", "'set'", "'mine'"]
    assert 990 < listed[2]["expires_in"] <= 1000
    assert listed[0]["expires_in"] is None
    code, out, _ = perfcore("ls", folder, "-n", 2)
    assert (code, [line.split(maxsplit=2)[2] for line in out.splitlines()]) == (0, ["'plain'", "('user', 1)"])
    code, out, _ = perfcore("stats", folder)
    assert (code, out.split()[:2]) == (0, ["entries", "5"])


def test_get_prints_the_value_and_runs_nothing(folder):
    assert perfcore("get", folder, "('user', 1)", "-l") == (0, "a string\n", "")
    assert perfcore("get", folder, "set") == (0, "{1}\n", "")
    assert document("get", folder, "plain") == {"value": {"a": [1, None], "b": "text"}}
    with DiskCache(folder, maxbytes="8MB") as cache:
        cache["complex"] = 1j  # which JSON has no word for
    assert document("get", folder, "complex") == {"repr": "1j"}
    code, out, err = perfcore("get", folder, "nothing")
    assert (code, out) == (1, "")
    assert "no value" in err
    assert perfcore("get", folder, "mine")[0] == 1
    with DiskCache(folder, maxbytes="8MB") as cache:
        assert cache["mine"] == Private("secret")  # not understood, and not removed either


def test_rm_and_clear_remove(folder):
    assert document("rm", folder, "plain", "nothing") == {"removed": 1}
    assert perfcore("rm", folder, "nothing")[0] == 1
    assert perfcore("rm", folder, "-l", "[1]")[0] == 2
    assert document("clear", folder) == {"removed": 4}
    assert document("stats", folder)["entries"] == 0


def test_verify_and_vacuum(folder):
    assert document("verify", folder) == {"entries": 5, "removed": 0, "structure": None}
    with DiskCache(folder, maxbytes="8MB") as cache:
        cache.set_many({number: os.urandom(5000) for number in range(500)})
        cache.delete_many(range(500))
    assert document("vacuum", folder)["saved"] > 1 << 20
    data = bytearray((folder / DATA_FILE).read_bytes())
    data[data.index(b"a string")] ^= 1
    (folder / DATA_FILE).write_bytes(data)
    code, out, _ = perfcore("verify", folder, "--json")
    assert (code, json.loads(out)["removed"]) == (1, 1)
    (folder / DATA_FILE).write_bytes(b"nothing like it" * 1000)
    assert perfcore("verify", folder)[0] == 1


def test_what_is_exported_can_be_imported(folder, tmp_path):
    assert document("export", folder, tmp_path / "file") == {"entries": 5, "skipped": 0}
    assert document("import", tmp_path / "other", tmp_path / "file") == {"entries": 5, "skipped": 0}
    with DiskCache(folder, maxbytes="8MB") as one, DiskCache(tmp_path / "other", maxbytes="8MB") as two:
        assert dict(one) == dict(two)
        assert list(one) == list(two)
        assert 0 < two.expires_in("short") <= 1000
        two.invalidate_tags("t")
        assert "short" not in two
    content = (tmp_path / "file").read_bytes()
    piped = perfcore("import", tmp_path / "piped", "-", input=content)
    assert piped == (0, "entries 5, skipped 0\n", "")
    assert perfcore("export", tmp_path / "nowhere", "-")[0] == 2
    for number, damaged in enumerate([b"", b"noise" * 50, content[:-20], content[: len(content) // 2]]):
        (tmp_path / "damaged").write_bytes(damaged)
        code, _, err = perfcore("import", tmp_path / f"damaged-{number}", tmp_path / "damaged")
        assert code == 1
        assert "Traceback" not in err


def test_signed_entries_need_the_secret(tmp_path):
    secret = b"0123456789abcdef"
    (tmp_path / "secret").write_bytes(secret + b"\n")
    with DiskCache(tmp_path / "one", maxbytes="8MB", codec=Codec(secret=secret)) as cache:
        cache["at"] = datetime(2026, 1, 1, tzinfo=UTC)
    option = ("--secret-file", tmp_path / "secret")
    assert document("verify", tmp_path / "one", *option)["entries"] == 1
    assert document("export", tmp_path / "one", tmp_path / "file", *option)["entries"] == 1
    assert document("import", tmp_path / "two", tmp_path / "file", *option)["entries"] == 1
    with DiskCache(tmp_path / "two", maxbytes="8MB", codec=Codec(secret=secret)) as cache:
        assert cache["at"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert perfcore("verify", tmp_path / "one", "--secret-file", tmp_path / "none")[0] == 2


def test_looking_makes_nobodys_entries_go(tmp_path):
    with DiskCache(tmp_path, maxbytes="8MB", compression="off") as cache:
        cache.set_many({number: os.urandom(5000) for number in range(1000)})
    before = document("stats", tmp_path)["entries"]
    assert document("rm", tmp_path, "-l", 7) == {"removed": 1}
    assert document("stats", tmp_path)["entries"] == before - 1
