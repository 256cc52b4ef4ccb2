"""What may be done to a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

__all__ = ["Options"]


class Options(Struct, frozen=True, kw_only=True):
    """The options of :func:`.optimize_for_performance` for anything but the parser.

    Results are cached only where the caller says that this is right: ``pure`` (equal arguments give equal
    results, for ever) or ``cache_ttl`` (for so many seconds). ``cache_size`` is how many results are kept.
    ``max_concurrency`` bounds the calls that run at once, and the workers of ``map``. ``batch(items)``
    answers many single-argument calls at once, with a list in their order; up to ``batch_size`` are handed to
    it, and asynchronous calls wait up to ``batch_window`` seconds for each other. Of fewer than ``samples``
    calls nothing is concluded.
    """

    pure: bool = False
    cache_ttl: float | None = None
    cache_size: int = 10_000
    max_concurrency: int | None = None
    batch: Callable[[list[Any]], Any] | None = None
    batch_size: int = 50
    batch_window: float = 0.002
    samples: int = 32

    def __post_init__(self) -> None:
        """Refuse what makes no sense, by name."""
        for name in ("cache_size", "batch_size", "samples"):
            _positive(name, getattr(self, name))
        if self.max_concurrency is not None:
            _positive("max_concurrency", self.max_concurrency)
        if self.cache_ttl is not None and not self.cache_ttl > 0:
            raise ValueError(f"cache_ttl: expected more than 0 seconds, got {self.cache_ttl!r}")
        if not self.batch_window >= 0:
            raise ValueError(f"batch_window: expected 0 seconds or more, got {self.batch_window!r}")
        if self.batch is not None and not callable(self.batch):
            raise TypeError(f"batch: expected a function of a list, got {self.batch!r}")

    @property
    def caches(self) -> bool:
        """Whether results may be cached."""
        return self.pure or self.cache_ttl is not None


def _positive(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected an integer, got {value!r}")
    if value < 1:
        raise ValueError(f"{name}: expected at least 1, got {value}")
