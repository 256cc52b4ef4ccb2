"""Where predictions come from: what follows what, and what goes with the circumstances. One shape for both.

A source makes tickets. Who acts upon one claims it, and then says whether the key arrived or failed; the
source keeps account of what became of it, and believes itself accordingly.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Final, Protocol

from perfcore._native.predict import Foreseen, Predictor
from perfcore.cache.predictive.context import AccessContext
from perfcore.cache.predictive.contextual import ContextModel
from perfcore.cache.predictive.records import Source, SourceStats

__all__ = ["AssociationSource", "ContextSource", "Ticket"]

#: As in src_c/predict.c: the last 500 loads count; a pause, after 64 of them, lasts 512 requests; what 256
#: requests without an outcome leave of the record; loads that count as used before the first.
_KEEP, _ENOUGH, _REST, _FORGIVE, _CREDIT = 0.998, 64.0, 512, 256, 16.0


class Ticket(Protocol):
    """A prediction that can be acted upon, once."""

    @property
    def key(self) -> Any:
        """What will be asked for."""

    @property
    def confidence(self) -> float:
        """How likely, as counted."""

    @property
    def source(self) -> Source:
        """Who says so."""

    def claim(self) -> bool:
        """Begin to load the key; False when that is no longer of use."""

    def arrived(self) -> tuple[Any, ...]:
        """The key is in the cache; returns keys that nobody asked for and that make room for it."""

    def failed(self) -> None:
        """The key could not be loaded."""

    def present(self) -> None:
        """The key is in the cache already."""


class _Association:
    """A ticket of the native predictor."""

    source: Final = "association"

    def __init__(self, predictor: Predictor, guess: Foreseen) -> None:
        self._predictor, self._guess = predictor, guess
        self.key, self.confidence = guess.key, guess.confidence

    def claim(self) -> bool:
        return self._predictor.begin(self._guess)

    def arrived(self) -> tuple[Any, ...]:
        return self._predictor.arrive(self._guess)

    def failed(self) -> None:
        self._predictor.fail(self._guess)

    def present(self) -> None:
        self._predictor.present(self._guess)


class AssociationSource:
    """What followed a key before follows it again."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def tickets(self, count: int) -> list[_Association]:
        """What is predicted now, the surest first."""
        return [_Association(self._predictor, guess) for guess in self._predictor.predictions(count)]

    def stats(self) -> SourceStats:
        """What became of the preloads."""
        found = self._predictor.stats()
        return SourceStats(
            *(found[name] for name in ("issued", "used", "late", "wasted", "failed", "precision", "paused"))
        )


class _Contextual:
    """A ticket of a :class:`ContextSource`."""

    source: Final = "context"

    def __init__(self, owner: ContextSource, key: Any, confidence: float) -> None:
        self._owner, self.key, self.confidence = owner, key, confidence

    def claim(self) -> bool:
        return self._owner.claim(self.key)

    def arrived(self) -> tuple[Any, ...]:
        return self._owner.arrived(self.key)

    def failed(self) -> None:
        self._owner.failed(self.key)

    def present(self) -> None:
        """Nothing to be noted: each look at the model is a new one."""


class ContextSource:
    """What was asked for under such circumstances is asked for again; with the account of its preloads."""

    def __init__(self, model: ContextModel, threshold: float, most_held: int) -> None:
        self.model, self._threshold, self._most_held = model, threshold, most_held
        self._loading: set[Any] = set()
        self._held: OrderedDict[Any, int] = OrderedDict()  # key -> request after which it counts as wasted
        self._issued = self._used = self._late = self._wasted = self._failed = 0
        self._count = self._right = 0.0
        self._now = self._settled = self._resume = 0

    def record(self, key: Hashable, context: AccessContext | None, hit: bool | None) -> None:
        """Note a request: what is loading or held is settled by it."""
        self._now += 1
        if self._loading and key in self._loading:
            self._loading.discard(key)
            self._settle(used=False)
            self._late += 1
        if self._held:
            self._note_held(key, hit)
        if self._now - self._settled >= _FORGIVE:
            self._settled, self._count, self._right = self._now, self._count / 2, self._right / 2
        self.model.record(key, context)

    def _note_held(self, key: Hashable, hit: bool | None) -> None:
        if self._held.pop(key, None) is not None:
            self._settle(used=hit is not False)
            self._used += hit is not False
            self._wasted += hit is False
        while self._held and next(iter(self._held.values())) < self._now:
            self._waste_oldest()

    def _waste_oldest(self) -> Any:
        key, _ = self._held.popitem(last=False)
        self._settle(used=False)
        self._wasted += 1
        return key

    def _settle(self, *, used: bool) -> None:
        self._settled = self._now
        self._count = self._count * _KEEP + 1
        self._right = self._right * _KEEP + used
        if self._count >= _ENOUGH and self._right < self._count / 2:
            self._resume = self._now + _REST
            self._count = self._right = 0.0

    def tickets(self, context: AccessContext, count: int) -> list[_Contextual]:
        """What is predicted for these circumstances, the surest first."""
        if self.paused:
            return []
        due = self._threshold * self._count
        share = 1.0 if self._right >= due else (self._right + _CREDIT) / (due + _CREDIT)
        found = [
            _Contextual(self, key, confidence * share)
            for key, confidence in self.model.candidates(context)
            if confidence * share > self._threshold and key not in self._loading and key not in self._held
        ]
        return sorted(found, key=lambda ticket: -ticket.confidence)[:count]

    @property
    def paused(self) -> bool:
        """Whether too little of what was loaded was used."""
        return self._now < self._resume

    def claim(self, key: Any) -> bool:
        """Begin to load a key."""
        if key in self._loading or key in self._held:
            return False
        self._loading.add(key)
        self._issued += 1
        return True

    def arrived(self, key: Any) -> tuple[Any, ...]:
        """A key is in the cache; returns what leaves for it."""
        if key not in self._loading:  # asked for meanwhile
            return ()
        self._loading.discard(key)
        leaves = (self._waste_oldest(),) if len(self._held) >= self._most_held else ()
        self._held[key] = self._now + self.model.horizon
        return leaves

    def failed(self, key: Any) -> None:
        """A key could not be loaded."""
        self._loading.discard(key)
        self._failed += 1

    def stats(self) -> SourceStats:
        """What became of the preloads."""
        precision = self._right / self._count if self._count >= 1 else 1.0
        return SourceStats(
            self._issued, self._used, self._late, self._wasted, self._failed, precision, self.paused
        )
