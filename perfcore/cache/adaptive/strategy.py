"""``AdaptiveCacheStrategy``: changes a cache where that pays, and takes back what did not."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock
from time import time
from types import TracebackType
from typing import Any, Literal, Self

from perfcore._log import logger
from perfcore._native.cache import Cache
from perfcore._repr import safe_repr
from perfcore.cache.adaptive.analysis import AccessAnalysis, tiers_of
from perfcore.cache.adaptive.curve import MissRatioCurve
from perfcore.cache.adaptive.damper import Damper
from perfcore.cache.adaptive.observation import Observation

__all__ = ["AdaptiveCacheStrategy", "Step"]

log = logger("cache")

#: The guide's bounds: below this hit rate the cache grows, above these localities it changes its policy.
TARGET, LOCALITY = 0.8, 0.7
#: What a change has to promise, as a share of the lookups: less is within the noise of most days.
WORTHWHILE = 0.01
#: What a smaller cache may cost when the target is reached.
NEGLIGIBLE = 0.0025
_KEPT = 256

Outcome = Literal["advised", "applied", "kept", "rolled back", "dampened", "failed"]


@dataclass(frozen=True, slots=True)
class Step:
    """One decision: what was changed from what to what, why, what that promised and what it brought.

    ``predicted`` and ``measured`` are changes of the hit ratio, as shares of all lookups: what the curve said
    before, and what the next curve says that the former size or policy would have done meanwhile.
    ``measured`` is None until then. ``at`` is seconds since the epoch.
    """

    kind: Literal["size", "policy", "preload"]
    before: Any
    after: Any
    reason: str
    predicted: float
    outcome: Outcome
    measured: float | None = None
    at: float = 0.0


class AdaptiveCacheStrategy:
    """Watches a :class:`~perfcore.cache.Cache`, or the memory of a :class:`.CacheManager`, and adapts it.

    ``budget`` is the largest size it may give the cache, in the cache's own unit (entries, weight or bytes),
    by default the present one; ``least`` the smallest, by default a sixteenth of that. With ``apply=False``
    it only advises. ``preload`` is called when lookups miss more than ``target`` allows, to bring in what a
    predictor expects. Of fewer than ``evidence`` lookups nothing is concluded.

    Sizes follow the estimated miss-ratio curve. The policy of a cache with a fixed one follows the guide's
    rule: LRU where the temporal locality is above 0.7, else LFU where that of frequency is;
    ``policy="adaptive"`` decides for itself and is left alone. Each step is judged by the next curve, which
    plays the former size and policy too, so that a change of the workload in between is not taken for an
    effect; a step that did harm is undone, and what was undone or contradicts the step before waits twice as
    long each time.

    >>> from perfcore.cache import Cache
    >>> cache = Cache(maxsize=100, policy="lru")
    >>> strategy = AdaptiveCacheStrategy(cache, budget=800, evidence=1000)
    >>> for number in range(20_000):
    ...     _ = cache.get_or_set(number % 700 if number % 2 else number % 7, int)
    >>> step, = strategy.adapt_cache()
    >>> step.kind, step.before, cache.capacity > 100
    ('size', 100, True)
    >>> strategy.close()
    """

    def __init__(
        self,
        cache: Any,
        *,
        budget: int | None = None,
        least: int | None = None,
        target: float = TARGET,
        apply: bool = True,
        preload: Callable[[], object] | None = None,
        evidence: int = 10_000,
    ) -> None:
        if not 0 < target <= 1:
            raise ValueError(f"target is a share of the lookups from 0 to 1, got {target!r}")
        self._owner, self._cache = cache, _memory_of(cache)
        self._observation = Observation(self._cache)
        self._budget = budget or self._observation.capacity
        self._least = least or max(1, self._budget // 16)
        if not 0 < self._least <= self._budget:
            raise ValueError(f"least must be from 1 to the budget of {self._budget}, got {least!r}")
        self._target, self._apply, self._evidence = target, apply, evidence
        #: What is called when lookups miss and no other step helps; may be assigned.
        self.preload = preload
        #: Says whether memory is short, and no more room is to be given; may be assigned.
        self.hold: Callable[[], bool] = lambda: False
        self._lock = Lock()
        self._steps: deque[Step] = deque(maxlen=_KEPT)
        self._pending: Step | None = None
        self._dampers = {"size": Damper(), "policy": Damper()}

    @safe_repr
    def __repr__(self) -> str:
        return (
            f"<AdaptiveCacheStrategy: budget {self._budget}, {len(self._steps)} steps, for {self._cache!r}>"
        )

    # -- looking --

    def analyze_access_patterns(self) -> AccessAnalysis:
        """Return how the cache was used since the last time, at a bounded cost whatever its size."""
        hit_rate, curve = self._observation.take()
        attainable = 0.0 if curve is None else 1 - curve.miss_ratios[-1]
        return AccessAnalysis(
            hit_rate,
            _share(0.0 if curve is None else 1 - curve.lru, attainable),
            _share(0.0 if curve is None else 1 - curve.lfu, attainable),
            self._observation.followers(),
            curve,
            tiers_of(self._owner),
        )

    def steps(self) -> list[Step]:
        """Return the last 256 decisions, oldest first."""
        return list(self._steps)

    def stats(self) -> dict[str, int]:
        """Return how many decisions came to what."""
        outcomes = [step.outcome for step in self._steps]
        return {outcome: outcomes.count(outcome) for outcome in dict.fromkeys(outcomes)}

    # -- changing --

    def adapt_cache(self) -> list[Step]:
        """Judge the last step, take the next where one pays, and return what was decided.

        Does nothing before there were ``evidence`` lookups since the last time, and two for each entry. Meant
        to be called now and then, say once a minute; takes less than a millisecond, but for what a smaller
        cache has to let go of.
        """
        with self._lock:
            if self._observation.lookups() < max(self._evidence, 2 * self._observation.entries):
                return []
            analysis = self.analyze_access_patterns()
            if analysis.curve is None:
                return []
            decided = [*self._judge(analysis.curve)]
            if not decided:
                decided += self._decide(analysis)
            return [self._note(step) for step in decided]

    def _decide(self, analysis: AccessAnalysis) -> list[Step]:
        for propose in (self._propose_size, self._propose_policy):
            step = propose(analysis)
            if step is not None:
                return [self._take(step)]
        if self.preload is not None and analysis.l1_hit_rate < self._target:
            return [self._take(Step("preload", None, None, "lookups miss", 0.0, "applied"))]
        return []

    def _propose_size(self, analysis: AccessAnalysis) -> Step | None:
        curve = analysis.curve
        assert curve is not None
        missing = analysis.l1_hit_rate < self._target
        found = self._larger(curve) if missing else self._smaller(curve)
        if found is None or (missing and self.hold()):
            return None
        reason = f"{analysis.l1_hit_rate:.3f} of the lookups hit, wanted are {self._target:g}; " + (
            "more room gains most for each entry here" if missing else "less room does as well"
        )
        predicted = curve.at(curve.present) - curve.at(curve.present * found / self._observation.capacity)
        return Step("size", self._observation.capacity, found, reason, predicted, "applied")

    def _larger(self, curve: MissRatioCurve) -> int | None:
        """The size within the budget that gains most for each entry more, where that is worthwhile."""
        present, now = self._observation.capacity, curve.at(curve.present)
        gains = {
            size: (now - ratio) / (size - present)
            for size, ratio in self._sizes(curve).items()
            if size > present and now - ratio > max(WORTHWHILE, curve.error)
        }
        return max(gains, key=lambda size: gains[size], default=None)

    def _smaller(self, curve: MissRatioCurve) -> int | None:
        """The smallest size that costs next to nothing."""
        present, now = self._observation.capacity, curve.at(curve.present)
        sizes = self._sizes(curve).items()
        return min(
            (size for size, ratio in sizes if size < present and ratio - now <= NEGLIGIBLE), default=None
        )

    def _sizes(self, curve: MissRatioCurve) -> dict[int, float]:
        """The sizes that were played, in the cache's unit, and the bounds; with what would miss there."""
        unit = self._observation.capacity / max(1, curve.present)
        played = [round(entries * unit) for entries in curve.entries]
        sizes = {size for size in (*played, self._budget, self._least) if self._least <= size <= self._budget}
        return {size: curve.at(size / unit) for size in sizes if size <= max(played)}

    def _propose_policy(self, analysis: AccessAnalysis) -> Step | None:
        curve, policy = analysis.curve, self._cache.policy
        assert curve is not None
        if policy == "adaptive":
            return None
        for wanted, locality, ratio in (
            ("lru", analysis.temporal_locality, curve.lru),
            ("lfu", analysis.frequency_locality, curve.lfu),
        ):
            if locality > LOCALITY:
                if wanted == policy:
                    return None
                name = "temporal locality" if wanted == "lru" else "locality of frequency"
                predicted = curve.at(curve.present) - ratio
                return Step("policy", policy, wanted, f"the {name} is {locality:.2f}", predicted, "applied")
        return None

    def _take(self, step: Step) -> Step:
        if not self._apply:
            return replace(step, outcome="advised")
        if step.kind != "preload" and not self._dampers[step.kind].allows(step.before, step.after):
            return replace(step, outcome="dampened")
        try:
            self._make(step.kind, step.after)
        except Exception as error:
            log.warning("the strategy could not change the %s of a cache", step.kind, exc_info=True)
            return replace(step, outcome="failed", reason=f"{step.reason}; {type(error).__name__}: {error}")
        if step.kind != "preload":
            self._pending = step
        return step

    def _make(self, kind: str, value: Any) -> None:
        if kind == "preload":
            assert self.preload is not None
            self.preload()
        elif kind == "size":
            self._cache.resize(value)
            self._observation.restart()
        else:
            self._cache.policy = value
            self._observation.restart()  # the miniatures play the policy of the cache

    def _judge(self, curve: MissRatioCurve) -> list[Step]:
        """Say what the last step has brought, and take it back if that was less than nothing."""
        step, self._pending = self._pending, None
        if step is None:
            return []
        former = self._former_miss_ratio(step, curve)
        if former is None:
            return []
        measured = former - curve.at(curve.present)
        harmful = measured < (-NEGLIGIBLE - curve.error if _shrinks(step) else -curve.error)
        self._dampers[step.kind].judged(step.before, step.after, harmful=harmful)
        if harmful:
            self._make(step.kind, step.before)
        return [replace(step, outcome="rolled back" if harmful else "kept", measured=measured)]

    def _former_miss_ratio(self, step: Step, curve: MissRatioCurve) -> float | None:
        """What would have missed without the step, in the same while."""
        if step.kind == "size":
            return curve.at(curve.present * step.before / max(1, step.after))
        return {"lru": curve.lru, "lfu": curve.lfu}.get(step.before)

    def _note(self, step: Step) -> Step:
        step = replace(step, at=time())
        self._steps.append(step)
        if step.outcome in ("applied", "rolled back", "dampened"):
            log.info(
                "%s of a cache, %r to %r: %s (%s)",
                step.kind,
                step.before,
                step.after,
                step.outcome,
                step.reason,
            )
        return step

    # -- life --

    def close(self) -> None:
        """Observe no longer; the cache stays as it is."""
        self._observation.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _memory_of(cache: Any) -> Cache[Any, Any]:
    memory = getattr(cache, "_memory", cache)
    if not isinstance(memory, Cache):
        raise TypeError(f"expected a Cache or a CacheManager, got {type(cache).__name__}")
    return memory


def _share(part: float, whole: float) -> float:
    return min(1.0, part / whole) if whole > 0 else 0.0


def _shrinks(step: Step) -> bool:
    return bool(step.kind == "size" and step.after < step.before)
