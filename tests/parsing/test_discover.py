"""The files of a tree are those that git would list."""

# ruff: noqa: PTH101, PTH103, PTH118, PTH119, PTH211 (the names themselves are what is tested)

import os
import subprocess
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from perfcore.parsing import Discovery


def git(*arguments, cwd):
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
    }
    done = subprocess.run(["git", *arguments], cwd=cwd, env=environment, capture_output=True, check=True)
    return done.stdout.decode()


def found(top, **options):
    discovery = Discovery([top], **options)
    return sorted(os.path.relpath(name, top) for name in discovery)


PATTERNS = st.sampled_from(
    ["*.py", "!a.py", "/a.py", "b/", "!b/", "b/*", "!b/a.py", "**/c", "a*", "!*", "b/**/a.py", "# no", "",
     "\\!x", "[", "c.log", "*.log", "/b/c/", "!b", "b", " ", "a.py ", "*/a.py", "**", "!**/a.py"]
)  # fmt: skip
IGNORE_FILES = st.lists(PATTERNS, max_size=4).map("\n".join)


@settings(max_examples=60, deadline=None)
@given(outer=IGNORE_FILES, inner=IGNORE_FILES, exclude=IGNORE_FILES)
@example(outer="*.py\n!b/", inner="", exclude="")  # files in `b` stay ignored, which pathspec learnt with 1.0
def test_ignore_files_mean_what_git_takes_them_to_mean(outer, inner, exclude):
    with TemporaryDirectory() as top:
        git("init", "-q", cwd=top)
        for directory in ("", "b", "b/c", "c", "b/d/e"):
            Path(top, directory).mkdir(parents=True, exist_ok=True)
            for name in ("a.py", "c.log", "x", "ab.py"):
                Path(top, directory, name).touch()
        Path(top, ".gitignore").write_text(outer)
        Path(top, "b", ".gitignore").write_text(inner)
        Path(top, ".git", "info", "exclude").write_text(exclude)
        listed = git("ls-files", "-z", "-co", "--exclude-standard", cwd=top).split("\0")[:-1]
        assert found(top) == sorted(listed)
        below = [name.removeprefix("b/") for name in listed if name.startswith("b/")]
        if below:
            assert found(Path(top, "b")) == sorted(below)


def test_a_directory_that_is_asked_for_is_walked_although_it_is_ignored(tmp_path):
    git("init", "-q", cwd=tmp_path)
    Path(tmp_path, ".gitignore").write_text("build/\n*.log\n")
    Path(tmp_path, "build").mkdir()
    Path(tmp_path, "build", "made.py").touch()
    assert found(tmp_path / "build") == ["made.py"]
    assert found(tmp_path) == [".gitignore"]


def test_a_file_that_is_asked_for_is_taken_although_it_is_ignored(tmp_path):
    Path(tmp_path, ".gitignore").write_text("*")
    path = tmp_path / "a.py"
    path.touch()
    assert list(Discovery([path, tmp_path / "missing.py"])) == [str(path), str(tmp_path / "missing.py")]
    assert found(tmp_path) == []
    assert found(tmp_path, gitignore=False) == [".gitignore", "a.py"]


def test_exclude_patterns_win_over_everything(tmp_path):
    Path(tmp_path, ".gitignore").write_text("!gen/\n")
    Path(tmp_path, "gen").mkdir()
    Path(tmp_path, "gen", "a.py").touch()
    assert found(tmp_path, exclude=["gen/"]) == [".gitignore"]


def test_what_is_passed_over_is_named(tmp_path):
    for directory in (".git", ".hg", "real", "real/sub"):
        Path(tmp_path, directory).mkdir()
    for name in ("real/a.py", "b.log"):
        Path(tmp_path, name).touch()
    Path(tmp_path, ".gitignore").write_text("*.log\n")
    os.symlink("real", tmp_path / "link")
    os.symlink("..", tmp_path / "real" / "up")
    os.symlink(".", tmp_path / "real" / "sub" / "here")
    os.symlink("self", tmp_path / "self")
    os.symlink("nowhere", tmp_path / "dangling")
    os.symlink("real/a.py", tmp_path / "alias.py")
    discovery = Discovery([tmp_path])
    assert sorted(os.path.relpath(n, tmp_path) for n in discovery) == [".gitignore", "alias.py", "real/a.py"]
    assert Counter(result.skipped for result in discovery.skipped) == {
        "version-control": 2, "ignored": 1, "loop": 3, "symlink": 2,
    }  # fmt: skip


def test_a_directory_that_may_not_be_read_is_named_and_the_walk_goes_on():
    if os.geteuid() != 0:
        pytest.skip("drops privileges")
    with TemporaryDirectory() as top:
        os.chmod(top, 0o755)
        Path(top, "closed").mkdir(mode=0o700)
        Path(top, "z.py").touch()
        discovery = Discovery([top])
        os.seteuid(65534)
        try:
            assert list(discovery) == [os.path.join(top, "z.py")]
        finally:
            os.seteuid(0)
    assert [(os.path.basename(r.path), r.skipped) for r in discovery.skipped] == [("closed", "unreadable")]


def test_an_ignore_file_that_is_none_does_not_hold_up_the_walk(tmp_path):
    os.mkfifo(tmp_path / ".gitignore")
    Path(tmp_path, "a.py").touch()
    assert found(tmp_path) == [".gitignore", "a.py"]


def test_a_deep_tree_is_walked_without_recursion(tmp_path):
    here = os.open(tmp_path, os.O_RDONLY)
    deep = tmp_path
    for _ in range(700):
        deep = deep / "d"
    os.makedirs(deep)
    (deep / "a.py").touch()
    os.close(here)
    assert len(found(tmp_path)) == 1
