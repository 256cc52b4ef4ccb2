"""Before a file is mapped: is it whole, is it ours, and if not, how it gets out of the way.

A clean close leaves a seal that describes the file. An intact seal means that nothing has touched the file
since, and it is opened at once; without one (a crash, a foreign hand) its structure is checked first. A
file that fails is put aside as ``data.mdb.damaged``, where the next one replaces it, and the cache starts
empty.

All of this needs the process to be alone with the directory (:mod:`perfcore.cache.disk.membership`).
"""

from __future__ import annotations

import os
from pathlib import Path

from perfcore.cache.disk.environment import DATA_FILE, LOCK_FILE

__all__ = ["break_seal", "inspect", "put_aside", "remove", "seal"]

_SEAL_FILE = "seal"


def inspect(directory: Path) -> str | None:
    """Return why the data file must not be opened, or None if it may."""
    path = directory / DATA_FILE
    if not path.exists():
        return None
    found = _describe(path)
    try:
        if (directory / _SEAL_FILE).read_bytes() == found:
            return None
    except FileNotFoundError:
        pass
    from perfcore.cache.disk import structure  # numpy: only where something went wrong before

    try:
        structure.check(path)
    except structure.Unsound as finding:
        return str(finding)
    return None


def seal(directory: Path) -> None:
    """Note that the data file, which nobody has open, is as its last user left it."""
    description = _describe(directory / DATA_FILE)
    options = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    with os.fdopen(os.open(directory / _SEAL_FILE, options, 0o600), "wb") as file:
        file.write(description)


def break_seal(directory: Path) -> None:
    """Note that the data file is about to change."""
    (directory / _SEAL_FILE).unlink(missing_ok=True)


def put_aside(directory: Path) -> None:
    """Make way for an empty cache; the file is kept for a look until the next one is put aside."""
    data = directory / DATA_FILE
    data.replace(data.with_name(DATA_FILE + ".damaged"))
    (directory / LOCK_FILE).unlink(missing_ok=True)
    break_seal(directory)


def remove(directory: Path) -> None:
    """Delete the data file, which holds values that should have been deleted and could not be."""
    break_seal(directory)
    (directory / DATA_FILE).unlink(missing_ok=True)


def _describe(path: Path) -> bytes:
    """What changes when the file is written to, replaced or copied, and when the machine restarts.

    The last because commits are not synced by default: after a power cut the file may hold only some of them.
    """
    status = path.stat()
    fields = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return " ".join(map(str, fields)).encode() + _boot()


def _boot() -> bytes:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes()
    except OSError:
        return os.urandom(16)  # unknown: no seal is ever intact, and every open is preceded by a check
