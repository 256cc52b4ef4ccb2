"""Tuning the cyclic collector by what it is seen to cost, and undoing what did not help."""

from __future__ import annotations

import gc
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from weakref import ref

from perfcore._repr import safe_repr

__all__ = ["GcFigures", "GcReport", "GcTuner", "collector_kind"]

Kind = Literal["generational", "incremental", "free-threaded"]


def collector_kind(version: tuple[int, ...] = tuple(sys.version_info[:3]), gil: bool | None = None) -> Kind:
    """Return which collector an interpreter has: thresholds do not mean the same to all of them.

    The incremental one came with 3.14.0 and was taken back in 3.14.5 (cpython #148726).

    >>> collector_kind((3, 13, 0), gil=True), collector_kind((3, 14, 2), gil=True)
    ('generational', 'incremental')
    """
    if gil is None:
        gil = not sysconfig.get_config_var("Py_GIL_DISABLED")
    if not gil:
        return "free-threaded"
    return "incremental" if (3, 14, 0) <= version < (3, 14, 5) else "generational"


@dataclass(frozen=True, slots=True)
class GcFigures:
    """What the collector cost in a window (seconds in all, paused, and the longest) and what it found."""

    seconds: float = 0.0
    paused: float = 0.0
    longest: float = 0.0
    collections: int = 0
    full: int = 0
    collected: int = 0

    @property
    def share(self) -> float:
        """The share of the window that was spent collecting, from 0 to 1."""
        return self.paused / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class GcReport:
    """What a step of the tuner did (``watching``, ``tuned``, ``kept`` or ``undone``; ``off`` where there is
    none), why, and what it measured.
    """

    action: str
    reason: str
    before: GcFigures
    after: GcFigures | None = None
    thresholds: tuple[int, ...] = ()
    frozen: int = 0


@dataclass(slots=True)
class _Probe:
    """Adds up pauses through ``gc.callbacks``."""

    began: float = field(default_factory=time.perf_counter)
    started: float = 0.0
    paused: float = 0.0
    longest: float = 0.0
    collections: int = 0
    full: int = 0
    collected: int = 0
    apart: int = 0

    def __call__(self, phase: str, info: dict[str, Any]) -> None:
        if self.apart:
            return
        if phase == "start":
            self.started = time.perf_counter()
            return
        pause = time.perf_counter() - self.started
        self.paused += pause
        self.longest = max(self.longest, pause)
        self.collections += 1
        self.full += info["generation"] == 2
        self.collected += info["collected"]

    def take(self) -> GcFigures:
        """Return the figures since the last time, and start anew."""
        now = time.perf_counter()
        figures = GcFigures(
            now - self.began, self.paused, self.longest, self.collections, self.full, self.collected
        )
        self.began, self.paused, self.longest = now, 0.0, 0.0
        self.collections = self.full = self.collected = 0
        return figures


#: CPython 3.12 starts with some hundred objects of its own frozen (375 in 3.12.1), which may be thawed
FROZEN_AT_START = 1_000 if sys.version_info[:2] == (3, 12) else 0

#: the tuner that has changed the collector: there is one collector, and two would undo each other's doing
_acting: ref[GcTuner] | None = None


def _may_act(tuner: GcTuner) -> bool:
    other = None if _acting is None else _acting()
    return other is None or other is tuner


class GcTuner:
    """Watches what collecting costs, and tunes where that is more than it should be.

    Each :meth:`step` looks at the window since the last one. Where more than the share ``most`` of it was
    spent collecting, it collects once, freezes what survived (``gc.freeze``: it is not looked at again) and
    multiplies the first threshold; the next step keeps that when the share fell by a quarter at least, and
    undoes all of it otherwise. On an incremental collector only the threshold is raised. :meth:`close` puts
    back what was found, unless somebody else has set the thresholds since. Nothing is tuned before
    ``warm_up`` steps, so that what is frozen is what lives long, nor while another tuner's changes stand.

    >>> tuner = GcTuner()
    >>> tuner.step().action
    'watching'
    >>> tuner.close()
    """

    def __init__(self, most: float = 0.05, factor: int = 20, warm_up: int = 1) -> None:
        if not 0 < most < 1:
            raise ValueError(f"most must be between 0 and 1, got {most}")
        if factor < 2 or warm_up < 0:
            raise ValueError("factor must be at least 2, and warm_up not negative")
        self._most, self._factor, self._warm_up = most, factor, warm_up
        self._found = self._set = gc.get_threshold()
        self._tuned_from: GcFigures | None = None
        self._froze = False
        self._given_up = False
        self._probe = _Probe()
        gc.callbacks.append(self._probe)

    @safe_repr
    def __repr__(self) -> str:
        state = "as found" if self._tuned_from is None else "tuned"
        return f"<GcTuner: {'given up' if self._given_up else state}>"

    def step(self) -> GcReport:
        """Look at the window since the last step, and tune, keep or undo; say what was done and measured."""
        figures = self._probe.take()
        if self._tuned_from is not None:
            return self._judge(self._tuned_from, figures)
        if self._warm_up > 0:
            self._warm_up -= 1
            return GcReport("watching", "warming up", figures)
        if self._given_up or not gc.isenabled() or figures.share <= self._most:
            reason = "tuning did not help before" if self._given_up else f"{figures.share:.1%} of the time"
            return GcReport("watching", reason, figures)
        if not _may_act(self):
            return GcReport("watching", "another tuner's changes stand", figures)
        return self._tune(figures)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Leave collections out of the figures that are made by hand in a block: no tuning saves those."""
        self._probe.apart += 1
        try:
            yield
        finally:
            self._probe.apart -= 1

    def _tune(self, figures: GcFigures) -> GcReport:
        global _acting
        _acting = ref(self)
        self._tuned_from, self._found = figures, gc.get_threshold()
        frozen = 0
        if collector_kind() == "generational":
            gc.collect()
            if (
                gc.get_freeze_count() <= FROZEN_AT_START
            ):  # somebody else's frozen objects are not ours to thaw
                gc.freeze()
                self._froze, frozen = True, gc.get_freeze_count()
        first, *rest = self._found
        gc.set_threshold(max(first, 700) * self._factor, *rest)
        self._set = gc.get_threshold()
        self._probe.take()
        reason = f"collecting took {figures.share:.1%} of the time"
        return GcReport("tuned", reason, figures, None, gc.get_threshold(), frozen)

    def _judge(self, before: GcFigures, after: GcFigures) -> GcReport:
        self._tuned_from = None
        if after.share <= 0.75 * before.share:
            reason = f"from {before.share:.1%} to {after.share:.1%} of the time"
            self._given_up = True  # it is as good as this gets
            return GcReport("kept", reason, before, after, gc.get_threshold(), gc.get_freeze_count())
        self._given_up = True
        self.restore()
        reason = f"still {after.share:.1%} of the time, {before.share:.1%} before"
        return GcReport("undone", reason, before, after, gc.get_threshold())

    def restore(self) -> None:
        """Put the thresholds back that are still as this set them, and thaw what was frozen."""
        global _acting
        if _acting is None or _acting() is not self:
            return
        _acting = None
        if gc.get_threshold() == self._set:
            gc.set_threshold(*self._found)
        if self._froze:
            gc.unfreeze()
            self._froze = False

    def close(self) -> None:
        """Stop watching, and put back what was found; closing twice is fine."""
        if self._probe in gc.callbacks:
            gc.callbacks.remove(self._probe)
            self.restore()
