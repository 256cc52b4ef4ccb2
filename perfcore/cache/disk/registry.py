"""The stores of this process, one for each directory, and what happens to them at a fork and at exit."""

from __future__ import annotations

import atexit
import os
import sys
from collections import deque
from contextlib import ExitStack
from pathlib import Path
from threading import Lock

from perfcore.cache.disk.store import Store

__all__ = ["acquire", "release"]

#: How long a fork waits for a commit under way, and for readers to leave, in seconds.
_FORK_PATIENCE = 5.0

_lock = Lock()
_stores: dict[str, Store] = {}
_users: dict[str, int] = {}
_abandoned: deque[Store] = deque()
_held = ExitStack()
_closes_at_exit = 0


def acquire(directory: Path, maxbytes: int, *, durable: bool) -> Store:
    """Return the store of ``directory``, which is opened if this is its first user.

    A later user's budget replaces the earlier one's, and if either wants each commit synced, it is.
    """
    name = os.path.realpath(directory)
    with _lock:
        _reap()
        _close_at_exit()  # also where nothing is ever written: a closed file is sealed
        store = _stores.get(name)
        if store is None:
            store = _stores[name] = Store(Path(name), maxbytes, durable=durable, started=_close_at_exit)
        else:
            store.adjust(maxbytes, durable=durable)
        _users[name] = _users.get(name, 0) + 1
        return store


def release(store: Store) -> None:
    """Give back what :func:`acquire` gave; the last one closes the store."""
    _abandoned.append(store)
    with _lock:
        _reap()


def abandon(store: Store) -> None:
    """Give back a store whose user was garbage; it is closed when the registry is used next.

    The collector may run anywhere, in a thread that holds any of the locks below: here none may be taken.
    """
    _abandoned.append(store)


def _reap() -> None:
    while _abandoned:
        store = _abandoned.popleft()
        name = str(store.directory)
        if _stores.get(name) is store:
            _users[name] -= 1
            if not _users[name]:
                del _stores[name], _users[name]
                store.close()


def _close_at_exit() -> None:
    """Have this process close its stores when it ends.

    Called again when a process first writes, because what a parent has registered does not count in its
    children: multiprocessing clears ``atexit`` there, and before Python 3.13 it runs only its own
    finalizers.
    """
    global _closes_at_exit
    if _closes_at_exit == os.getpid():
        return
    _closes_at_exit = os.getpid()
    atexit.register(_close_all)
    multiprocessing = sys.modules.get("multiprocessing.util")
    if multiprocessing is not None:
        multiprocessing.Finalize(None, _close_all, exitpriority=1)


def _close_all() -> None:
    with _lock:
        for store in _stores.values():
            store.close()
        _stores.clear()
        _users.clear()


def _before_fork() -> None:
    """Commit what is pending and bring every thread to a place where the child can go on from."""
    global _held
    held = ExitStack()
    if _lock.acquire(timeout=_FORK_PATIENCE):
        held.callback(_lock.release)
    for store in _stores.values():
        if len(store.pending):
            store.drain(_FORK_PATIENCE)
        held.enter_context(store.access.quiet(_FORK_PATIENCE))
    _held = held


def _after_fork_in_parent() -> None:
    _held.close()


def _after_fork_in_child() -> None:
    global _lock
    _held.pop_all()  # these locks belong to the parent's threads
    _lock = Lock()
    for store in _stores.values():
        store.forked()


os.register_at_fork(
    before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
)
