"""What a profile reads of the thread and the process, natively: 2.5 µs, where psutil would take 30."""

from __future__ import annotations

import os
import threading
from typing import TypeAlias

from perfcore._native.meters import ThreadMeter, forked

__all__ = ["Work", "meter"]

#: What a thread has done so far: CPU nanoseconds, and bytes read and written by system calls, if known.
Work: TypeAlias = tuple[int, int | None, int | None]


class _Thread(threading.local):
    """This thread's meter, which closes its files when the thread ends."""

    def __init__(self) -> None:
        self.meter = ThreadMeter()


_thread = _Thread()


def meter() -> ThreadMeter:
    """Return the meter of this thread.

    >>> meter() is meter()
    True
    """
    return _thread.meter


os.register_at_fork(after_in_child=forked)
