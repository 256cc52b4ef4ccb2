"""Locks that are held while the process forks, so that the child gets whole tables and free locks."""

from __future__ import annotations

import os
from typing import Any
from weakref import WeakSet

__all__ = ["register"]

_holders: WeakSet[Any] = WeakSet()
_held: list[Any] = []


def register(holder: Any) -> None:
    """Take care of the ``_lock`` of an object."""
    _holders.add(holder)


def _hold() -> None:
    _held.extend(holder._lock for holder in sorted(_holders, key=id))
    for lock in _held:
        lock.acquire()


def _release() -> None:
    for lock in _held:
        lock.release()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_release)
