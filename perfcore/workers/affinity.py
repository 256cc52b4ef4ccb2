"""Workers bound to processors. Off by default: beside other work it harms as often as it helps."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

__all__ = ["bind", "choose"]


def choose(affinity: bool | Iterable[int]) -> Sequence[int]:
    """Return the processors to bind workers to, in turns; none where affinity is off.

    True means those that the process may use, which in a container are fewer than the machine has. Raises
    ValueError for processors that it may not use, and where the system cannot bind threads.

    >>> choose(False)
    ()
    """
    if affinity is False:
        return ()
    if not hasattr(os, "sched_setaffinity"):
        raise ValueError("this system cannot bind threads to processors: leave affinity off")
    allowed = sorted(os.sched_getaffinity(0))
    if affinity is True:
        return tuple(allowed)
    chosen = tuple(affinity)
    if not chosen or not set(chosen) <= set(allowed):
        raise ValueError(f"Expected some of the processors {allowed}, got {list(chosen)} - at `affinity`")
    return chosen


def bind(processors: Sequence[int], number: int, target: int = 0) -> None:
    """Bind the calling thread, or the process ``target``, to one of ``processors``, by its number."""
    if processors:
        os.sched_setaffinity(target, {processors[number % len(processors)]})
