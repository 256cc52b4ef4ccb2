"""Prediction as a part of :class:`.PerformanceManager`: how it is built, and what stands in for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from perfcore._native.cache import Cache
from perfcore.cache.disk import DiskCache
from perfcore.cache.predictive.caching import PredictiveCaching
from perfcore.config.schema import PerformanceConfig

__all__ = ["no_predictor", "predictor"]


def predictor(config: PerformanceConfig, cache: Any, disk: Any, workers: Any) -> PredictiveCaching:
    """Build it over all tiers and warm it up; what was learnt lies beside the entries of the disk tier."""
    model = Path(disk.directory, "prediction.model") if isinstance(disk, DiskCache) else None
    made = PredictiveCaching(cache, pool=workers if config.workers.enabled else None, model=model)
    made.warm()
    return made


def no_predictor() -> PredictiveCaching:
    """Return one that does nothing."""
    made = PredictiveCaching(Cache(0))
    made.enabled = False
    return made
