"""When memory is short, what is done about it, and when that is undone."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from perfcore._log import logger
from perfcore.memory.care import Care
from perfcore.memory.pressure import Pressure
from perfcore.memory.reports import Relief

__all__ = ["Shortage"]

log = logger("memory")

#: A relief has so many seconds to be felt before the next one between two rounds.
_AGAIN = 10.0


class Shortage:
    """Relieves pressure through what is in ``care``, and takes that back when a tenth of the limit is free.

    ``apart`` is where it collects garbage, ``note`` is told what was done and why.
    """

    def __init__(
        self,
        care: Care,
        threshold: float,
        stalled: float,
        apart: Callable[[], AbstractContextManager[object]],
        note: Callable[[str, str], object],
    ) -> None:
        if not 0 < threshold <= 1:
            raise ValueError(f"gc_threshold must be above 0 and at most 1, got {threshold}")
        if not stalled >= 0:
            raise ValueError(f"stalled must not be negative, got {stalled}")
        self._care, self._threshold, self._stalled = care, threshold, stalled
        self._apart, self._note = apart, note
        self._relieved_at = float("-inf")
        self._said = False
        self.total = Relief()

    def pressed(self, seen: Pressure) -> bool:
        """Whether memory is short."""
        return seen.share > self._threshold or (seen.stalled or 0) > self._stalled

    def see_to(self, seen: Pressure, *, wait: bool = False) -> Relief:
        """Do what there is to do, and say it; with ``wait`` not before the last relief could be felt."""
        if not self.pressed(seen):
            self._said = False
            return self._restore(seen)
        if wait and time.monotonic() - self._relieved_at < _AGAIN:
            return Relief()
        self._relieved_at = time.monotonic()
        stalls = "" if seen.stalled is None else f", tasks wait for memory {seen.stalled:.0f} % of the time"
        why = f"{seen.share:.0%} of the limit in use{stalls}"
        if not self._said:  # once while it lasts
            self._said = True
            log.warning("%s: pools and caches shrink", why)
        with self._apart():
            collected = gc.collect()
        relief = self._care.relieve()._replace(collected=collected)
        given = f"{relief.buffer_bytes} bytes of buffers, {relief.objects} objects"
        self._note(f"memory given back: {given}, {relief.caches_shrunk} caches halved", why)
        return self._add(relief)

    def give_back(self) -> Relief:
        """Collect garbage and empty pools, whether or not there is pressure."""
        with self._apart():
            collected = gc.collect()
        return self._add(self._care.empty()._replace(collected=collected))

    def _restore(self, seen: Pressure) -> Relief:
        if not self._care.relieved or seen.share > self._threshold - 0.1:
            return Relief()
        relief = self._care.restore()
        self._note(f"{relief.caches_restored} caches whole again", f"{seen.share:.0%} of the limit in use")
        return self._add(relief)

    def _add(self, relief: Relief) -> Relief:
        self.total = self.total.plus(relief)
        return relief
