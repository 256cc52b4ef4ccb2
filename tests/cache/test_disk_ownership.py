"""A disk tier uses only a directory that no other user can play with."""

import os

import pytest

from perfcore.cache import DiskCache
from perfcore.cache.disk.ownership import demand_own


def test_a_directory_of_this_user_and_one_of_root_are_used(tmp_path):
    demand_own(tmp_path)
    demand_own(tmp_path, user=tmp_path.stat().st_uid)
    demand_own(tmp_path, user=0)


def test_a_directory_of_another_user_is_not(tmp_path, monkeypatch):
    class Other:
        st_uid, st_mode = 4321, 0o40700

    monkeypatch.setattr(type(tmp_path), "stat", lambda self, **options: Other)  # to chown takes root
    with pytest.raises(PermissionError, match="belongs to another user"):
        demand_own(tmp_path, user=1234)
    demand_own(tmp_path, user=4321)


@pytest.mark.parametrize("name", ["data.mdb", "lock.mdb", "epoch", "anything"])
def test_a_link_in_the_directory_is_followed_by_nobody(tmp_path, caplog, name):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    directory = tmp_path / "cache"
    directory.mkdir(mode=0o700)
    (directory / name).symlink_to(victim)
    with DiskCache(directory, durability="commit") as cache:
        cache["a"] = 1
        assert cache.get("b") is None
    assert victim.read_text() == "precious"
    assert "symbolic link" in caplog.text


def test_a_directory_that_everybody_can_write_to_is_warned_of(tmp_path, caplog):
    directory = tmp_path / "cache"
    directory.mkdir()
    directory.chmod(0o777)
    with DiskCache(directory) as cache:
        cache["a"] = 1
    assert "can be written to by everybody" in caplog.text


def test_what_a_disk_tier_makes_is_private(tmp_path):
    before = os.umask(0)
    try:
        with DiskCache(tmp_path / "cache") as cache:
            cache["a"] = 1
            cache.flush()
    finally:
        os.umask(before)
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "cache").iterdir()} == {0}
