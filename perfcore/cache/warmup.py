"""What is brought into memory before it is asked for: nothing, named keys, or what somebody foresees."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from perfcore.errors import ConfigError

if TYPE_CHECKING:
    from perfcore.cache.manager import CacheManager

__all__ = ["Warmup", "checked_warmup", "warm"]

#: ``eager`` brings in the named keys at the start; a callable gets the manager and does what it likes.
Warmup: TypeAlias = "Literal['lazy', 'eager', 'predictive'] | Callable[[CacheManager], object]"


def checked_warmup(warmup: Any) -> None:
    """Raise :exc:`ConfigError` for what is no way to warm a cache up."""
    if not callable(warmup) and warmup not in ("lazy", "eager", "predictive"):
        raise ConfigError(f"warmup: expected 'lazy', 'eager', 'predictive' or a callable, got {warmup!r}")


def warm(manager: CacheManager, warmup: Warmup, keys: Iterable[Any]) -> None:
    """Do at the start what ``warmup`` says; ``predictive`` is for whoever predicts, by ``manager.warm``."""
    if callable(warmup):
        warmup(manager)
    elif warmup == "eager":
        manager.warm(keys)
