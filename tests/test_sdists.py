"""Source archives of other projects come from pip once, whole, and for any number of processes at once."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import sdists

BACKEND = """
import pathlib

def prepare_metadata_for_build_wheel(directory, settings=None):
    info = pathlib.Path(directory, "tiny-1.0.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
    return info.name

def build_wheel(*_): raise SystemExit("nobody asked for a wheel")
"""
FILES = {
    "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
    "backend.py": BACKEND,
    "PKG-INFO": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
    "tests/test_tiny.py": "def test_it(): pass\n",
}


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """An index of one project, and an empty cache folder; return the folder with the archive."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    with tarfile.open(folder / "tiny-1.0.tar.gz", "w:gz") as tar:
        for name, text in FILES.items():
            member = tarfile.TarInfo(f"tiny-1.0/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def left_over(folder):
    return [path.name for path in folder.parent.iterdir() if path != folder]


def test_an_archive_is_fetched_once(shelf):
    folder = sdists.unpacked("tiny", "1.0")
    assert (folder / "tests" / "test_tiny.py").read_text() == FILES["tests/test_tiny.py"]
    assert left_over(folder) == []
    (shelf / "tiny-1.0.tar.gz").unlink()
    assert sdists.unpacked("tiny", "1.0") == folder


def test_processes_that_ask_at_once_all_get_it(shelf):
    code = "import sdists; print(sdists.unpacked('tiny', '1.0'))"
    environment = os.environ | {"PYTHONPATH": str(Path(sdists.__file__).parent)}
    started = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    told = {process.communicate()[0].strip() for process in started}
    assert [process.returncode for process in started] == [0, 0, 0]
    (folder,) = map(Path, told)
    assert (folder / "PKG-INFO").exists()
    assert left_over(folder) == []


def test_what_cannot_be_fetched_is_an_error_and_leaves_nothing(shelf):
    with pytest.raises(RuntimeError, match=r"tiny==2\.0"):
        sdists.unpacked("tiny", "2.0")
    assert not any((shelf.parent / "cache").rglob("*tiny*"))
