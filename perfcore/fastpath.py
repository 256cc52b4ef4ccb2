"""The fast path: what a service leaves out while it is too slow, and takes up again afterwards.

Each part says what it can leave out (the profiler stops sampling, the cache looks no further than memory and
serves what is no longer fresh, prefetching pauses); whoever has a reason switches all of it on and off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any, NamedTuple

from perfcore._log import logger
from perfcore._repr import safe_repr

__all__ = ["FastPath"]

log = logger("fastpath")


class _Shortcut(NamedTuple):
    name: str
    begin: Callable[[], object]
    end: Callable[[], object]


class FastPath:
    """A switch with reasons: the fast path is taken while there is at least one.

    >>> path = FastPath()
    >>> path.add("extras", lambda: print("off"), lambda: print("on again"))
    >>> with path.taken("latency"):
    ...     path.reasons, path.shortcuts
    off
    (('latency',), ('extras',))
    on again
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self._reasons: dict[str, None] = {}
        self._shortcuts: list[_Shortcut] = []

    def __bool__(self) -> bool:
        return bool(self._reasons)

    @safe_repr
    def __repr__(self) -> str:
        return f"<FastPath: {'taken for ' + ', '.join(self._reasons) if self._reasons else 'not taken'}>"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is taken; nothing when it is not."""
        return tuple(self._reasons)

    @property
    def shortcuts(self) -> tuple[str, ...]:
        """The names of what is left out while it is taken."""
        return tuple(shortcut.name for shortcut in self._shortcuts)

    def add(self, name: str, begin: Callable[[], object], end: Callable[[], object]) -> None:
        """Call ``begin`` when the fast path is taken (now, if it is), and ``end`` when it is left.

        What they raise is logged: the other shortcuts are taken and left all the same.
        """
        shortcut = _Shortcut(name, begin, end)
        with self._lock:
            self._shortcuts.append(shortcut)
            if self._reasons:
                _call(shortcut, shortcut.begin)

    def enter(self, reason: str) -> None:
        """Take the fast path for ``reason``; does nothing when that is a reason already."""
        with self._lock:
            first = not self._reasons
            self._reasons[reason] = None
            if first:
                log.warning("the fast path is taken: %s", reason)
                for shortcut in self._shortcuts:
                    _call(shortcut, shortcut.begin)

    def leave(self, reason: str) -> None:
        """Take back ``reason``, and leave the fast path if it was the last."""
        with self._lock:
            if reason not in self._reasons:
                return
            del self._reasons[reason]
            if not self._reasons:
                log.warning("the fast path is left")
                for shortcut in reversed(self._shortcuts):
                    _call(shortcut, shortcut.end)

    @contextmanager
    def taken(self, reason: str) -> Iterator[None]:
        """Take the fast path during a block."""
        self.enter(reason)
        try:
            yield
        finally:
            self.leave(reason)

    def act(self, alert: Any) -> Callable[[], None]:
        """Be the action ``enable_fast_path``: taken for an alert until that is resolved."""
        reason = f"alert {alert.rule}"
        self.enter(reason)
        return lambda: self.leave(reason)

    def stats(self) -> dict[str, tuple[str, ...]]:
        """Return its reasons and its shortcuts."""
        return {"reasons": self.reasons, "shortcuts": self.shortcuts}

    def close(self) -> None:
        """Leave the fast path, whatever the reasons."""
        for reason in self.reasons:
            self.leave(reason)


def _call(shortcut: _Shortcut, call: Callable[[], object]) -> None:
    try:
        call()
    except Exception:
        log.warning("the shortcut %s failed", shortcut.name, exc_info=True)
