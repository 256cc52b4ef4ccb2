"""``perfcore doctor`` says what is wrong here, and what to do about it."""

import json

import pytest

from perfcore import cgroups, doctor
from perfcore.cache import DiskCache
from perfcore.doctor import examine
from perfcore.memory.pressure import memory_stalled


def found(name, **where):
    (finding,) = [finding for finding in examine(**where) if finding.name == name]
    return finding


def test_an_installation_that_is_in_order_is_said_to_be():
    assert {finding.status for finding in examine()} <= {"ok", "warning"}
    assert found("dependencies").status == "ok" and "numpy" in found("dependencies").found


def test_a_tight_control_group_is_told_with_what_to_do(monkeypatch):
    monkeypatch.setattr(cgroups, "memory_limits", lambda: [128 << 20])
    assert found("memory").status == "warning" and "128 MB" in found("memory").found
    assert "caching.max_memory" in found("memory").advice


def test_a_cache_directory_is_looked_at_and_left_alone(tmp_path):
    directory = tmp_path / "cache"
    assert found("cache directory", directory=directory).status == "ok"
    assert not directory.exists()
    with DiskCache(directory) as cache:
        cache["a"] = 1
    assert found("cache directory", directory=directory).status == "ok"
    assert found("stored entries", directory=directory).found.endswith("sound")


def test_a_directory_open_to_others_a_link_and_a_file_are_told(tmp_path):
    open_to_all = tmp_path / "open"
    open_to_all.mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(open_to_all)
    (tmp_path / "file").touch()
    assert "chmod 700" in found("cache directory", directory=open_to_all).advice
    assert "symbolic link" in found("cache directory", directory=tmp_path / "link").found
    assert found("cache directory", directory=tmp_path / "file").status == "failed"


def test_a_network_file_system_is_warned_of(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "_filesystem", lambda place: ("nfs4", 1 << 40))
    assert "use a local disk" in found("cache directory", directory=tmp_path).advice


def test_a_damaged_file_is_found(tmp_path):
    with DiskCache(tmp_path / "cache") as cache:
        cache["a"] = 1
    data = tmp_path / "cache" / "data.mdb"
    content = bytearray(data.read_bytes())
    content[16:2000] = bytes(1984)
    data.write_bytes(content)
    finding = found("stored entries", directory=tmp_path / "cache")
    assert finding.status == "failed" and "damaged" in finding.found


def test_limits_are_stated_also_where_there_are_none(monkeypatch):
    monkeypatch.setattr(cgroups.ControlGroup, "__init__", lambda self: setattr(self, "cpu_limit", None))
    monkeypatch.setattr(cgroups, "memory_limits", list)
    assert "usable, no limit of the control group" in found("processors").found
    assert "no limit of the control group" in found("memory").found
    wanted = "tells no stalls" if memory_stalled() is None else "% of the last ten seconds"
    assert wanted in found("memory").found


def test_without_a_directory_the_users_own_place_is_looked_at(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert str(tmp_path / "perfcore") in found("cache directory").found
    assert not list(tmp_path.iterdir())
    (tmp_path / "perfcore").mkdir(mode=0o755)
    assert found("cache directory").status == "ok"  # the caches in it are private, each of them
    (tmp_path / "perfcore").rmdir()
    (tmp_path / "perfcore").touch()
    assert found("cache directory").status == "failed"


@pytest.mark.parametrize("url", ["redis://user:secret@127.0.0.1:1", "nonsense://x"])
def test_a_server_that_cannot_be_had_is_told_without_its_password(url):
    finding = found("server", url=url)
    assert finding.status == "failed"
    assert "secret" not in str(finding)
    assert finding.found.partition(": ")[2] not in {"", "ConfigError", "ValueError"}  # it says why


def test_the_command_ends_with_one_when_something_failed(capsys, tmp_path):
    from perfcore.cli.root import app

    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as ended:
        app(["doctor", "--json", "--directory", str(tmp_path / "file")], prog_name="perfcore")
    assert ended.value.code == 1
    statuses = [finding["status"] for finding in json.loads(capsys.readouterr().out)["findings"]]
    assert "failed" in statuses
    with pytest.raises(SystemExit) as ended:
        app(["doctor"], prog_name="perfcore")
    assert not ended.value.code
    assert "ok       perfcore: " in capsys.readouterr().out
