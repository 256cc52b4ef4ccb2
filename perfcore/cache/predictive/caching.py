"""``PredictiveCaching``: keys that will be asked for are in the cache before they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from typing import Any
from weakref import WeakSet

from perfcore._log import logger
from perfcore._native.predict import Predictor
from perfcore._repr import safe_repr
from perfcore.cache.predictive import modelfile
from perfcore.cache.predictive.context import AccessContext
from perfcore.cache.predictive.contextual import ContextModel
from perfcore.cache.predictive.preloading import Pool, Preloading
from perfcore.cache.predictive.records import Limits, Prediction, PredictionStats
from perfcore.cache.predictive.sources import AssociationSource, ContextSource, Ticket
from perfcore.cache.predictive.targets import Loader, target_of

__all__ = ["PredictiveCaching"]


class PredictiveCaching(Preloading):
    """Learns from requests which keys come next, and loads them into ``cache`` ahead of time.

    ``cache`` is a :class:`~perfcore.cache.Cache` or a :class:`.CacheManager`, which brings keys up from its
    lower tiers before it asks ``loader(key)``, the default of :meth:`preload_predicted_data`. Loads run on
    ``pool`` with low priority, without one in threads of their own, within ``limits``; what they store ends
    after ``ttl`` seconds. Only predictions with a confidence above ``threshold`` count. ``model`` is a file
    in which :meth:`close` keeps what was learnt. ``remember`` keys are remembered (None: 16 for each entry of
    the cache, about 100 bytes and a reference each), ``size`` is the number of entries where the cache does
    not say, ``contexts`` how many clients' histories are kept apart. ``validate(key, value)`` says whether a
    value is worth storing.

    Where ``PERFCORE_DISABLE`` names ``prefetch`` it does nothing. Raises TypeError and ValueError for options
    that make no sense.

    >>> from perfcore.cache import Cache
    >>> cache = Cache(100, policy="lru")
    >>> from perfcore.cache.predictive import Limits
    >>> predictive = PredictiveCaching(cache, loader=lambda key: f"row {key}", limits=Limits(rate=1e6))
    >>> for request in range(20_000):
    ...     key = request % 1000  # a loop: LRU alone would never hit
    ...     if predictive.get(key) is None: cache[key] = f"row {key}"
    ...     _ = predictive.preload_predicted_data()
    ...     _ = predictive.drain()
    >>> cache.stats().hits > 15_000, predictive.stats().sources["association"].precision > 0.9
    (True, True)
    """

    def __init__(
        self,
        cache: Any,
        *,
        loader: Loader | None = None,
        pool: Pool | None = None,
        limits: Limits | None = None,
        ttl: float = 1800.0,
        threshold: float = 0.7,
        model: str | os.PathLike[str] | None = None,
        remember: int | None = None,
        size: int | None = None,
        contexts: int = 64,
        validate: Callable[[Any, Any], bool] | None = None,
    ) -> None:
        if not ttl > 0:
            raise ValueError(f"ttl must be positive, got {ttl!r}")
        target = target_of(cache)
        super().__init__(cache, target, loader, pool, limits or Limits(), ttl, validate)
        entries = target.entries if size is None else size
        self._path = model
        self._predictor = Predictor(entries, remember=remember, contexts=contexts, threshold=threshold)
        self._associations = AssociationSource(self._predictor)
        horizon = min(max(entries, 64), 8192)
        self._contexts = ContextSource(ContextModel(horizon), threshold, max(entries // 4, 1))
        self._enabled, self._paused = not _switched_off(), False
        self._contextual = False  # whether anybody has ever said anything of the circumstances
        if model is not None and self._enabled:
            self._likely = modelfile.load(self._predictor, model)
        _living.add(self)

    # -- learning --

    def record(self, key: Hashable, context: AccessContext | None = None, *, hit: bool | None = None) -> None:
        """Note that ``key`` is asked for: before the lookup, or with ``hit``: whether memory had it.

        Raises TypeError for a key that cannot be hashed.
        """
        if not self._enabled:
            return
        if hit is None:
            hit = self._target.holds(key)
        self._predictor.record(key, None if context is None else context.client, hit)
        self._gate.release(key)
        if context is not None:
            self._contextual = True
        if self._contextual:
            self._contexts.record(key, context, hit)

    def get(self, key: Any, default: Any = None, context: AccessContext | None = None) -> Any:
        """Return ``cache.get(key, default)`` and record it."""
        self.record(key, context)
        return self._cache.get(key, default)

    # -- predicting --

    def predict_future_access(
        self, context: AccessContext | None = None, count: int = 10
    ) -> list[Prediction]:
        """Return up to ``count`` keys that will be asked for soon and are not in memory, the surest first."""
        return [
            Prediction(ticket.key, ticket.confidence, ticket.source)
            for ticket in self._tickets(context, count)
        ]

    def _tickets(self, context: AccessContext | None, count: int) -> list[Ticket]:
        if not self._enabled or self._paused:
            return []
        found: list[Ticket] = [*self._associations.tickets(count)]
        if context is not None:
            found += self._contexts.tickets(context, count)
            found.sort(key=lambda ticket: -ticket.confidence)
        best: dict[Any, Ticket] = {}
        for ticket in found:
            if ticket.key in best:
                continue
            if self._target.holds(ticket.key):
                ticket.present()
            else:
                best[ticket.key] = ticket
        return [*best.values()][:count]

    # -- looking around, and the end --

    @property
    def enabled(self) -> bool:
        """Whether it learns and predicts; may be set at any time."""
        return self._enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        self._enabled = bool(enabled)

    def pause(self) -> None:
        """Load nothing ahead until :meth:`resume`; go on learning."""
        self._paused = True

    def resume(self) -> None:
        """End a :meth:`pause`."""
        self._paused = False

    def stats(self) -> PredictionStats:
        """Return what was counted."""
        found, gate = self._predictor.stats(), self._gate
        return PredictionStats(
            self._enabled,
            found["visits"],
            found["keys"],
            {"association": self._associations.stats(), "context": self._contexts.stats()},
            gate.dropped,
            gate.loading,
            gate.hanging,
            gate.left_alone,
            found["lead"],
            found["stay"],
        )

    @safe_repr
    def __repr__(self) -> str:
        return f"<PredictiveCaching of {self._cache!r}>"

    def save(self, path: str | os.PathLike[str] | None = None) -> int:
        """Write what was learnt to ``path`` (None: ``model``); returns how many requests that has in it."""
        target = self._path if path is None else path
        if target is None:
            raise ValueError("there is no model= to save to")
        return modelfile.save(self._predictor, target)

    def close(self) -> None:
        """Stop, and keep what was learnt where there is a ``model``; an error of the file is logged."""
        was_enabled, self._enabled = self._enabled, False
        if was_enabled and self._path is not None:
            try:
                self.save()
            except OSError as error:
                logger("cache").warning("the prediction model was not saved: %s", error)

    def __enter__(self) -> PredictiveCaching:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _switched_off() -> bool:
    return "prefetch" in os.environ.get("PERFCORE_DISABLE", "").lower().replace(" ", "").split(",")


_living: WeakSet[PredictiveCaching] = WeakSet()


def _forked() -> None:
    for one in list(_living):
        one._gate.reset()


os.register_at_fork(after_in_child=_forked)
