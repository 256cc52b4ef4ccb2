"""Shell completion: in real shells, by the key that people press."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perfcore import DiskCache
from perfcore.cli.completing import cache_directories, documents, pictures, policies, settings

BIN = Path(sys.executable).parent
PATIENCE = 60.0  # seconds, on a busy machine
#: how each shell is started so that it reads nothing but what was installed for it
SHELLS = {"bash": ["bash", "--noprofile", "-i"], "zsh": ["zsh", "-d", "-i"], "fish": ["fish", "-i"]}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user without any settings, in a folder of things to be completed."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "ZDOTDIR", "BASH_ENV", "ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    (place / "service.toml").write_text("")
    (place / "notes.txt").write_text("")
    with DiskCache(place / "orders") as cache:
        cache["a"] = 1
    return tmp_path


class Terminal:
    """A shell at a terminal, to be typed into."""

    def __init__(self, command):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execvp(command[0], command)
        self.seen = ""

    def type(self, text):
        os.write(self.master, text.encode())

    def wait_for(self, pattern):
        """Wait until what the terminal shows matches; returns the match."""
        until = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, plain(self.seen))):
            assert time.monotonic() < until, f"{pattern!r} is not in {plain(self.seen)!r}"
            if select.select([self.master], [], [], 0.2)[0]:
                self.seen += os.read(self.master, 65536).decode(errors="replace")
        return found

    def close(self):
        os.close(self.master)
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


def plain(text):
    """What is seen on a terminal, without its control sequences."""
    return re.sub(r"\x1b(?:\[[0-9;?>=]*[a-zA-Z]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9]|[=>])", "", text)


@pytest.fixture(params=SHELLS)
def shell(request, home):
    """A terminal with a shell for which the completion was installed by the command itself."""
    name = request.param
    assert shutil.which(name), f"{name} is missing: make shells installs it"
    # the parent of the command is to be the shell: so it is not its last command, which a shell would become
    done = subprocess.run([name, "-c", "perfcore --install-completion; true"], capture_output=True, text=True)
    assert "completion installed in" in done.stdout, done.stderr
    terminal = Terminal(SHELLS[name])
    terminal.type("echo rea''dy\r")
    terminal.wait_for(r"\nready")
    yield terminal
    terminal.close()


#: what is typed, and what it becomes: a command, a directory, a policy, a document, a setting, a server
CASES = {
    "perfcore simu": "perfcore simulate",
    "perfcore cache stats ord": "perfcore cache stats orders",
    "perfcore simulate x --policies lru,ad": "--policies lru,adaptive",
    "perfcore config show ser": "perfcore config show service.toml",
    "perfcore config show -k caching.pol": r"-k caching\.policies",
    "perfcore cache stats --ur": r"cache stats --url",
    "perfcore cache stats --url unix:/x --pre": "--url unix:/x --prefix",
    "perfcore cache ls --url rediss": "--url rediss://localhost:6379",
}


def test_a_key_completes(shell):
    for typed, completed in CASES.items():
        shell.type(f"{typed}\t")
        shell.wait_for(completed)
        shell.type("\x15")  # the line is given up
        shell.seen = ""


def test_what_there_is_to_choose_from(home):
    (home / "place" / "folder").mkdir()
    assert cache_directories("") == ["orders"] and cache_directories("x") == []
    assert cache_directories(f"{home}/place/") == [f"{home}/place/orders"]
    with DiskCache(name="mine") as cache:
        cache["a"] = 1
        mine = str(cache.directory)
    assert cache_directories(mine[:-1]) == [mine]
    assert documents(".toml", ".json")("") == ["folder/", "orders/", "service.toml"]
    assert documents(".toml")("./ser") == ["./service.toml"] and documents(".json")("") == []
    assert documents(".toml")("nowhere/") == []
    assert policies("l") == ["lru", "lfu"] and policies("lru,l") == ["lru,lfu"]
    assert settings("caching.layers.m") == ["caching.layers.memory."]
    assert "caching.layers.memory.max_size" in settings("caching.layers.memory.")
    assert pictures("curve") == ["curve.png", "curve.svg", "curve.pdf"] and pictures("curve.png") == []
