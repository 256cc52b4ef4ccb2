"""What is wrong with an installation, a machine and its caches, as far as that can be seen from here."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

from perfcore._version import __version__
from perfcore.errors import PerfcoreError

__all__ = ["Finding", "examine"]

_MB = 1 << 20
#: What a cache directory had better not be on: LMDB maps its file and locks it.
_REMOTE_FILESYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "afs", "ceph"}
#: Extras, and the package by which one sees that they are there.
_EXTRAS = {
    "parse": "tree_sitter",
    "cli": "typer",
    "processes": "loky",
    "dask": "distributed",
    "valkey": "valkey",
    "plot": "matplotlib",
    "prometheus": "prometheus_client",
    "otel": "opentelemetry",
    "leaks": "objgraph",
}
Status = Literal["ok", "warning", "failed"]


class Finding(NamedTuple):
    """One thing that was looked at: its name, how it is, what was found, and what to do about it."""

    name: str
    status: Status
    found: str
    advice: str = ""


def examine(directory: str | Path | None = None, url: str | None = None) -> Iterator[Finding]:
    """Yield what is found, one after the other; a ``directory`` of a disk tier and a server's ``url`` too.

    Without a ``directory`` it is looked at where those of this user would be. Changes nothing.

    >>> [finding.name for finding in examine()][:3]
    ['perfcore', 'interpreter', 'dependencies']
    """
    looks: list[Callable[[], Finding]] = [_build, _interpreter, _dependencies, _extras, _processors, _memory]
    place = _home() if directory is None else Path(directory)
    looks.append(lambda: _directory(place, parent=directory is None))
    if directory is not None:
        looks.append(lambda: _content(place))
    if url is not None:
        looks.append(lambda: _server(url))
    for look in looks:
        yield look()


def _build() -> Finding:
    try:
        from perfcore._native.build import build_info
    except ImportError as error:
        return Finding(
            "perfcore", "failed", f"{__version__}, without its native part: {error}", "reinstall it"
        )
    build = build_info()
    found = f"{__version__}, {build['mode']} build by {build['compiler']}"
    if not build["optimized"] or build["mode"] != "release":
        return Finding("perfcore", "warning", found, "this build is for tests; install a released wheel")
    if build["python"].rsplit(".", 1)[0] != platform.python_version().rsplit(".", 1)[0]:
        return Finding("perfcore", "failed", f"{found} for Python {build['python']}", "reinstall it")
    return Finding("perfcore", "ok", found)


def _interpreter() -> Finding:
    free = not getattr(sys, "_is_gil_enabled", lambda: True)()
    lock = "without the GIL" if free else "with the GIL"
    found = f"{platform.python_implementation()} {platform.python_version()}, {lock}"
    if platform.system() != "Linux":
        return Finding("interpreter", "warning", f"{found} on {platform.system()}", "only Linux is tested")
    return Finding("interpreter", "ok", f"{found} on {platform.system()} {platform.machine()}")


def _dependencies() -> Finding:
    from perfcore.status import versions

    missing = [
        name for name, found in versions().items() if found == "not installed" and name != "tree-sitter"
    ]
    found = ", ".join(f"{name} {installed}" for name, installed in versions().items() if name != "perfcore")
    if missing:
        return Finding("dependencies", "failed", found, f"install {', '.join(missing)}")
    return Finding("dependencies", "ok", found)


def _extras() -> Finding:
    there = [extra for extra, package in _EXTRAS.items() if find_spec(package) is not None]
    lacking = [extra for extra in _EXTRAS if extra not in there]
    found = f"{', '.join(there) or 'none'}; not installed: {', '.join(lacking) or 'none'}"
    return Finding("extras", "ok", found)


def _processors() -> Finding:
    from perfcore.cgroups import ControlGroup

    usable, limit = len(os.sched_getaffinity(0)), ControlGroup().cpu_limit
    if limit is not None and limit < usable:
        advice = f"size pools by {max(1, round(limit))}, not by {usable}: more threads are only throttled"
        return Finding(
            "processors", "warning", f"{usable}, limited to {limit:g} by the control group", advice
        )
    group = "no limit" if limit is None else f"a limit of {limit:g}"
    return Finding("processors", "ok", f"{usable} of {os.cpu_count()} usable, {group} of the control group")


def _memory() -> Finding:
    import psutil  # type: ignore[import-untyped]

    from perfcore.cgroups import memory_limits

    total = psutil.virtual_memory().total
    limit = min([total, *memory_limits()])
    group = ", no limit of the control group"
    if limit != total:
        group = f", limited to {limit // _MB} MB by the control group"
    found = f"{total // _MB} MB{group}{_stalls()}"
    if limit < 256 * _MB:
        advice = "the memory tier's default of 256 MB is too much here: set `caching.max_memory`"
        return Finding("memory", "warning", found, advice)
    return Finding("memory", "ok", found)


def _stalls() -> str:
    """How long tasks wait for memory: what a manager with ``memory_optimization`` takes for pressure, too."""
    from perfcore.memory.pressure import memory_stalled

    stalled = memory_stalled()
    if stalled is None:
        return ", the kernel tells no stalls (PSI)"
    return f", tasks waited for it {stalled:.0f} % of the last ten seconds"


def _home() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("perfcore")


def _directory(directory: Path, parent: bool = False) -> Finding:
    """Whether a cache can live there: it exists or can be made, is private, and not on a network."""
    name = "cache directory"
    if directory.is_symlink():
        return Finding(name, "warning", f"{directory} is a symbolic link", "name the folder itself")
    if directory.exists() and not directory.is_dir():
        return Finding(name, "failed", f"{directory} is no folder", "name another one")
    place = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding(name, "failed", f"{place} cannot be written to", "its owner is another user")
    kind, free = _filesystem(place)
    found = f"{directory} on {kind}, {free // _MB} MB free"
    if kind in _REMOTE_FILESYSTEMS:
        return Finding(name, "warning", found, "locks and memory maps are not safe there: use a local disk")
    if not parent and directory.exists() and directory.stat().st_mode & 0o077:
        return Finding(name, "warning", f"{found}, open to other users", f"chmod 700 {directory}")
    if free < 64 * _MB:
        return Finding(name, "warning", found, "a full disk makes every write a miss")
    return Finding(name, "ok", found)


def _filesystem(place: Path) -> tuple[str, int]:
    import psutil

    mounts = psutil.disk_partitions(all=True)
    inside = [mount for mount in mounts if place.absolute().is_relative_to(mount.mountpoint)]
    nearest = max(inside, key=lambda mount: len(mount.mountpoint), default=None)
    return "an unknown file system" if nearest is None else nearest.fstype, psutil.disk_usage(str(place)).free


def _content(directory: Path) -> Finding:
    """Whether what is stored there is sound, by its structure; entries are looked at when they are read."""
    from perfcore.cache.disk.structure import Unsound, check

    data = directory / "data.mdb"
    if not data.exists():
        return Finding("stored entries", "ok", "none yet")
    size = f"{data.stat().st_size // _MB} MB"
    try:
        check(data)
    except Unsound as error:
        return Finding(
            "stored entries", "failed", f"{size}, damaged: {error}", "it is set aside at the next start"
        )
    except OSError as error:
        return Finding("stored entries", "failed", f"{data}: {error.strerror}", "look at its permissions")
    return Finding("stored entries", "ok", f"{size}, sound")


def _server(url: str) -> Finding:
    """Whether a server answers, by one lookup that finds nothing."""
    from perfcore.cache import RemoteCache

    shown = _without_secret(url)
    try:
        with RemoteCache(url, prefix="perfcore-doctor", timeout=3.0) as cache:
            cache.get("reachable?")
            problems = cache.problems()
    except (PerfcoreError, OSError, ValueError) as error:
        reason = str(error).replace(url, shown) or type(error).__name__
        return Finding("server", "failed", f"{shown}: {reason}", "look at the address and the password")
    if problems:
        return Finding("server", "failed", f"{shown}: {problems[0]}", "without it, lookups there are misses")
    return Finding("server", "ok", f"{shown} answers")


def _without_secret(url: str) -> str:
    """``redis://host:1/0`` of a URL that may have a user and a password before the host."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
