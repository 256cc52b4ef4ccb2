"""Whose directory is it? What another user can write, another user can replace under our hands."""

from __future__ import annotations

import os
import stat
from errno import ELOOP, EPERM
from pathlib import Path

from perfcore._log import logger

__all__ = ["demand_own"]

log = logger("cache.disk")


def demand_own(directory: Path, user: int | None = None) -> None:
    """Raise :exc:`OSError` unless ``directory`` is this process's user's, and none of its files a link.

    Root's is fine for everybody, and anybody's for root, as mounted volumes are in containers. A directory
    that others may write to is used, and warned of. ``user`` is by default the effective user of the process.
    """
    if not hasattr(os, "geteuid"):
        return
    user, found = os.geteuid() if user is None else user, directory.stat()
    if user != 0 and found.st_uid not in (user, 0):
        raise PermissionError(EPERM, "the cache directory belongs to another user", str(directory))
    with os.scandir(directory) as entries:
        link = next((entry.path for entry in entries if entry.is_symlink()), None)
    if link is not None:  # whoever made it chooses which file of ours is written to
        raise OSError(ELOOP, "a file of the cache directory is a symbolic link", link)
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        log.warning("the cache directory %s can be written to by everybody", directory)
