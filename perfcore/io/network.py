"""The network half of the optimizer: receivers that are watched, and sizes of buffers that are tried."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

from perfcore.io.forks import register
from perfcore.io.sockets import LEAST, MOST, Receiver
from perfcore.io.steps import IOStep
from perfcore.io.trials import PAIRS, SizeTrial, clocks

__all__ = ["Receivers"]

#: calls since the last look below which nothing is tried
_FEW: Final = 64
_LOOK: Final = 0.005


class Receivers:
    """Receivers that are held weakly, each with at most one trial under way.

    A trial advances in the thread that receives, between its calls; who asks for it waits and looks.
    """

    def __init__(self, meter: Callable[[], tuple[float, float]] = clocks) -> None:
        self._meter = meter
        self._trials: WeakKeyDictionary[Receiver, SizeTrial | None] = WeakKeyDictionary()
        self._smaller: WeakKeyDictionary[Receiver, bool] = WeakKeyDictionary()
        self._seen: WeakKeyDictionary[Receiver, int] = WeakKeyDictionary()
        self._lock = threading.Lock()
        register(self)

    def __len__(self) -> int:
        return len(self._trials)

    def watch(self, receiver: Receiver) -> None:
        """Take care of a receiver for as long as it is in use."""
        with self._lock:
            self._trials.setdefault(receiver, None)

    def optimize(self, seconds: float) -> list[IOStep]:
        """Begin trials, wait up to so many seconds for them, and say what has become of them."""
        with self._lock:
            watched = list(self._trials)
            for receiver in watched:
                self._begin(receiver)
        deadline = time.monotonic() + seconds
        while any(map(self._runs, watched)) and time.monotonic() < deadline:
            time.sleep(_LOOK)
        with self._lock:
            steps = [step for receiver in watched if (step := self._step(receiver)) is not None]
        return steps or [IOStep("receivers", "nothing", "none is watched")]

    def _begin(self, receiver: Receiver) -> None:
        calls, total, size = receiver.stats()
        new = calls - self._seen.get(receiver, 0)
        if self._trials.get(receiver) is not None or receiver._gone() or new < _FEW:
            return
        self._seen[receiver] = calls
        fills = total * 2 >= calls * size
        smaller = self._smaller.get(receiver, False) or not fills or size >= MOST
        other = max(LEAST, size // 4) if smaller else min(MOST, size * 4)
        if other != size:
            self._trials[receiver] = receiver._trial = SizeTrial((size, other), self._meter)

    def _runs(self, receiver: Receiver) -> bool:
        trial = self._trials.get(receiver)
        waits = trial is not None and trial.verdict is None and trial.thread != threading.get_ident()
        return waits and not receiver._gone()

    def _step(self, receiver: Receiver) -> IOStep | None:
        trial, size = self._trials.get(receiver), receiver.stats().size
        if receiver._gone():
            self._trials.pop(receiver, None)
        if trial is None:
            few = IOStep(f"receiver of {size} bytes", "nothing", "too little has come, or no other size fits")
            return None if receiver._gone() else few
        old, new = trial.sizes
        name, verdict = f"receiver of {old} bytes, {new} tried", trial.verdict
        if verdict is None:
            return IOStep(name, "nothing", f"{len(trial.samples)} of {2 * PAIRS} samples so far")
        if receiver in self._trials:
            self._trials[receiver] = None
        if not verdict.before.calls:
            return IOStep(name, "nothing", verdict.reason)
        self._smaller[receiver] = (new < old) == verdict.kept
        before, after = verdict.before.processor, verdict.after.processor
        return IOStep(name, "kept" if verdict.kept else "undone", verdict.reason, before, after)
