"""Which keys go with which circumstances: counts by feature, weighed by a small online model.

For each feature there is how often each key was asked for. How much each kind of feature says is learnt by
logistic regression, one step for each guess whose outcome is known; as in the core
(``src_c/judge.h``), the score is sorted into grades and a grade is worth what became of its own guesses.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from perfcore.cache.predictive.context import KINDS, AccessContext, Feature, features

__all__ = ["ContextModel"]

_SLOTS: Final = 256  # features known; those met longest ago go
_KEYS: Final = 2048  # keys known; of more, those that are asked for most stay
_TRIED: Final = 32  # keys that each look at the model guesses, to learn from
_LOOKED_AT: Final = 8  # keys, for one to be forgotten
_PENDING: Final = 4096
_GRADES: Final = 24
_RATE: Final = 0.3
_KEEP: Final = 0.998  # of a tally: the last 500 guesses count
_FEW: Final = 16.0  # guesses, from which on a grade speaks for itself
_FORGET: Final = 0.5  # what a column keeps when its feature was seen this often:
_FULL: Final = 4096.0

Floats = npt.NDArray[np.float32]


@dataclass(slots=True)
class _Guess:
    key: Any
    inputs: Floats
    grade: int
    due: int
    right: bool = False


class Candidate(NamedTuple):
    key: Any
    confidence: float


class ContextModel:
    """Learns which keys are asked for under which circumstances.

    >>> model = ContextModel(horizon=50)
    >>> admin = AccessContext(user_type="admin")
    >>> for day in range(200):
    ...     _ = model.candidates(admin), [model.record(key, admin) for key in ("users", "audit")]
    ...     for other in range(60): model.record(f"page {day} {other}", AccessContext(user_type="guest"))
    >>> sorted(key for key, confidence in model.candidates(admin) if confidence > 0.7)
    ['audit', 'users']
    """

    def __init__(self, horizon: int) -> None:
        self.horizon = horizon
        self._counts = np.zeros((_SLOTS, _KEYS), np.float32)
        self._seen = np.zeros(_SLOTS, np.float32)
        self._totals = [0.0] * _KEYS
        self._slots: OrderedDict[Feature, int] = OrderedDict()
        self._places: OrderedDict[Any, int] = OrderedDict()
        self._known: list[Any] = []
        self._weights = np.ones(len(KINDS) + 2, np.float32)
        self._weights[0] = -2  # until something is known: unlikely
        self._tallies = np.zeros((_GRADES, 2), np.float32)
        self._pending: deque[_Guess] = deque()
        self._waiting: dict[Any, _Guess] = {}
        self._requests = 0

    # -- learning --

    def record(self, key: Any, context: AccessContext | None) -> None:
        """Note a request, with its circumstances where these are known."""
        self._requests += 1
        if self._waiting and (guess := self._waiting.pop(key, None)) is not None:
            guess.right = True
        while self._pending and self._pending[0].due < self._requests:
            self._judge(self._pending.popleft())
        if context is not None:
            self._count(key, [self._slot(feature) for feature in features(context)])

    def _count(self, key: Any, slots: list[int]) -> None:
        place = self._place(key)
        self._counts[slots, place] += 1
        self._seen[slots] += 1
        for slot in slots:
            if self._seen[slot] >= _FULL:
                self._counts[slot] *= _FORGET
                self._seen[slot] *= _FORGET

    def _slot(self, feature: Feature) -> int:
        slot = self._slots.get(feature)
        if slot is not None:
            self._slots.move_to_end(feature)
            return slot
        slot = len(self._slots)
        if slot == _SLOTS:
            _, slot = self._slots.popitem(last=False)
            self._counts[slot] = 0
            self._seen[slot] = 0
        self._slots[feature] = slot
        return slot

    def _place(self, key: Any) -> int:
        """The column of a key; a new key gets one that was asked for little and long ago."""
        place = self._places.get(key)
        if place is not None:
            self._places.move_to_end(key)
            self._totals[place] += 1
            return place
        if len(self._known) < _KEYS:
            place = len(self._known)
            self._known.append(key)
        else:
            place = self._vacate()
            self._known[place] = key
            self._counts[:, place] = 0
        self._places[key] = place
        self._totals[place] = 1
        return place

    def _vacate(self) -> int:
        """Of the keys used longest ago the least used goes; the others are given half a chance more."""
        oldest = list(islice(self._places.items(), _LOOKED_AT))
        gone, place = min(oldest, key=lambda item: self._totals[item[1]])
        for key, other in oldest:
            self._places.move_to_end(key)
            self._totals[other] /= 2
        del self._places[gone]
        return place

    def _judge(self, guess: _Guess) -> None:
        if self._waiting.get(guess.key) is guess:
            del self._waiting[guess.key]
        tally = self._tallies[guess.grade]
        tally *= _KEEP
        tally += (1.0, guess.right)
        wrong = float(guess.right) - _logistic(float(guess.inputs @ self._weights))
        self._weights += _RATE * wrong * guess.inputs
        np.maximum(self._weights[1:], 0, out=self._weights[1:])  # what went with a feature speaks for it

    # -- guessing --

    def candidates(self, context: AccessContext, count: int = _TRIED) -> list[Candidate]:
        """Return the likeliest keys, each with the share of such guesses that came true; learns from all."""
        if not self._known:
            return []
        inputs = self._inputs(list(features(context)))
        scores = inputs @ self._weights
        order = np.argsort(-scores, kind="stable")[:count]
        return [
            Candidate(self._known[place], self._guess(place, inputs[place], scores[place])) for place in order
        ]

    def _inputs(self, found: Iterable[tuple[int, str]]) -> Floats:
        """For each key: one, for each kind of feature its count beside the commonest key's, and the mean."""
        inputs = np.zeros((len(self._known), len(KINDS) + 2), np.float32)
        inputs[:, 0] = 1
        for feature in found:
            slot = self._slots.get(feature)
            if slot is None:
                continue
            counts = self._counts[slot, : len(self._known)]
            kind = inputs[:, feature[0] + 1]
            np.maximum(kind, np.sqrt(counts / max(float(counts.max()), 1.0)), out=kind)
        inputs[:, -1] = inputs[:, 1:-1].mean(axis=1)
        return inputs

    def _guess(self, place: int, inputs: Floats, score: float) -> float:
        grade = int(min(max(score * 4 + _GRADES / 2, 0), _GRADES - 1))
        key = self._known[place]
        if key not in self._waiting and len(self._pending) < _PENDING:
            guess = _Guess(key, inputs.copy(), grade, self._requests + self.horizon)
            self._pending.append(guess)
            self._waiting[key] = guess
        return self._confidence(grade)

    def _confidence(self, grade: int) -> float:
        while grade > 0 and self._tallies[grade, 0] < _FEW:
            grade -= 1
        return _wilson(*self._tallies[grade].tolist())


def _logistic(score: float) -> float:
    return float(1 / (1 + np.exp(-min(max(score, -30.0), 30.0))))


def _wilson(count: float, right: float) -> float:
    """The lower end of Wilson's interval at one standard deviation."""
    if count < 3.9:
        return 0.0
    share = right / count
    spread = float(np.sqrt(share * (1 - share) / count + 1 / (4 * count * count)))
    return (share + 1 / (2 * count) - spread) / (1 + 1 / count)
