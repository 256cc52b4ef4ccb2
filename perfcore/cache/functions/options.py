"""The options of a cached function: what they mean, and which of them contradict each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from copy import copy, deepcopy
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any, Final, TypeAlias

from perfcore._native.cache import Cache
from perfcore.cache.functions.staleness import Freshness
from perfcore.units import parse_duration

__all__ = ["DEFAULTS", "Duration", "Options", "checked"]

Duration: TypeAlias = "float | timedelta"

_COPIES: dict[str, Callable[[Any], Any]] = {"shallow": copy, "deep": deepcopy}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a cached function was asked to do, checked; durations are seconds."""

    given: dict[str, Any]
    key: Callable[..., Any] | None
    typed: bool
    single_flight: bool
    ttl: float | None
    freshness: Freshness
    soft_timeout: float | None
    hard_timeout: float | None
    none_ttl: float | None
    error_ttls: tuple[tuple[type[BaseException], float | None], ...]
    copy: Callable[[Any], Any] | None
    tags: Callable[..., Iterable[Any]] | None
    timer: Callable[[], float]

    def error_ttl(self, error: BaseException) -> tuple[bool, float | None]:
        """Say whether an exception is to be stored, and for how long (None: as long as anything else)."""
        for kind, ttl in self.error_ttls:
            if isinstance(error, kind):
                return True, ttl
        return False, None


#: Every option and its default.
DEFAULTS: Final[dict[str, Any]] = {
    **dict.fromkeys(
        ["maxsize", "maxweight", "weigher", "maxbytes", "ttl", "tti", "cache", "key", "tags", "timer"]
    ),
    **dict.fromkeys(["refresh_ahead", "stale_ttl", "soft_timeout", "hard_timeout", "negative_ttl"]),
    **dict.fromkeys(["typed", "stale_on_error", "copy"], False),
    "policy": "adaptive",
    "jitter": 0,
    "single_flight": True,
    "cache_exceptions": (),
}
_SIZE: Final = 128
_OF_A_CACHE: Final = ("maxsize", "maxweight", "weigher", "maxbytes", "policy", "tti", "timer")
_DURATIONS: Final = ("ttl", "tti", "stale_ttl", "soft_timeout", "hard_timeout")


def checked(options: dict[str, Any]) -> Options:
    """Return the options as they are meant.

    Raises :exc:`TypeError` and :exc:`ValueError`, naming the options, for what makes no sense.
    """
    if unknown := ", ".join(sorted(options.keys() - DEFAULTS.keys())):
        raise TypeError(f"cached() has no option {unknown}; it knows {', '.join(sorted(DEFAULTS))}")
    given = {**DEFAULTS, **options}
    if "maxsize" not in options and all(given[name] is None for name in ("maxweight", "maxbytes", "cache")):
        given["maxsize"] = _SIZE
    times = {name: _duration(name, given[name]) for name in _DURATIONS}
    _contradictions(given, times)
    none_ttl, error_ttls = _negative(given["negative_ttl"], given["cache_exceptions"])
    settings = Options(
        given=given,
        key=_callable_or_none("key", given["key"]),
        typed=bool(given["typed"]),
        single_flight=bool(given["single_flight"]),
        ttl=times["ttl"],
        freshness=Freshness(
            ttl=times["ttl"],
            ahead=_ahead(given["refresh_ahead"], times["ttl"]),
            window=times["stale_ttl"] or 0.0,
            on_error=_on_error(given["stale_on_error"], times["stale_ttl"]),
            jitter=_share(given["jitter"]),
        ),
        soft_timeout=times["soft_timeout"],
        hard_timeout=times["hard_timeout"],
        none_ttl=none_ttl,
        error_ttls=error_ttls,
        copy=_copier(given["copy"]),
        tags=_tagger(given["tags"]),
        timer=_callable_or_none("timer", given["timer"]) or monotonic,
    )
    if given["cache"] is not None:
        _check_store(given["cache"], options, settings)
    return settings


def _check_store(store: Any, options: dict[str, Any], settings: Options) -> None:
    """Refuse what a cache that exists already does not do."""
    for name in _OF_A_CACHE:
        if name in options:
            raise ValueError(f"{name} and cache exclude each other: a cache that exists has its own")
    if isinstance(store, Cache):
        return
    kind = type(store).__name__
    for verb in ("get", "set", "delete"):
        if not callable(getattr(store, verb, None)):
            raise TypeError(f"cache must be a Cache, or have get, set and delete: a {kind} has no {verb}")
    if settings.freshness.margin or settings.error_ttls or settings.tags:
        raise ValueError(
            "refresh_ahead, stale_ttl, stale_on_error, cache_exceptions and tags need a Cache in memory: "
            f"what they keep with a result cannot be stored in a {kind}"
        )


def _contradictions(given: dict[str, Any], times: dict[str, float | None]) -> None:
    for name in ("stale_ttl", "refresh_ahead", "stale_on_error", "jitter"):
        if given[name] and times["ttl"] is None:
            raise ValueError(f"{name} needs ttl: without one, nothing is ever stale")
    stale = given["stale_ttl"] is not None or given["stale_on_error"]
    soft, hard = times["soft_timeout"], times["hard_timeout"]
    if soft is not None and not stale:
        raise ValueError(
            "soft_timeout needs stale_ttl or stale_on_error: there would be nothing to serve after it"
        )
    if soft is not None and hard is not None and hard < soft:
        raise ValueError(f"hard_timeout ({hard:g} s) is below soft_timeout ({soft:g} s)")
    if given["typed"] and given["key"] is not None:
        raise ValueError("typed and key exclude each other: key says what a key is (perfcore.keys.typedkey)")
    if not given["single_flight"]:
        for name in ("soft_timeout", "hard_timeout", "refresh_ahead", "stale_ttl"):
            if given[name] is not None:
                raise ValueError(f"{name} needs single_flight: several callers wait for one call")


def _duration(name: str, value: Any) -> float | None:
    if value is None:
        return None
    try:
        seconds = parse_duration(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None
    if not seconds:
        raise ValueError(f"{name} must be more than 0 seconds")
    return seconds


def _ahead(value: Any, ttl: float | None) -> float:
    """How many seconds before its end an entry is refreshed; below 1 it is a share of the ttl."""
    seconds = _duration("refresh_ahead", value)
    if seconds is None or ttl is None:
        return 0.0
    if not isinstance(value, timedelta) and seconds < 1:
        return seconds * ttl
    if seconds >= ttl:
        raise ValueError(f"refresh_ahead ({seconds:g} s) must be less than ttl ({ttl:g} s)")
    return seconds


def _on_error(value: Any, window: float | None) -> float:
    """How long after its end an entry is kept for the case that computing it anew fails."""
    if isinstance(value, bool):
        return (math.inf if window is None else window) if value else 0.0
    return _duration("stale_on_error", value) or 0.0


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"jitter is a share of the ttl from 0 to 1, not a {type(value).__name__}")
    if not 0 <= value <= 1:
        raise ValueError(f"jitter is a share of the ttl from 0 to 1, not {value}")
    return float(value)


def _negative(
    ttl: Any, exceptions: Any
) -> tuple[float | None, tuple[tuple[type[BaseException], float | None], ...]]:
    """Return the ttl of None, and the exceptions that are stored with theirs."""
    kinds: dict[Any, float | None] = {}
    default = none_ttl = None
    if isinstance(ttl, Mapping):
        kinds.update((kind, _duration("negative_ttl", seconds)) for kind, seconds in ttl.items())
        none_ttl = kinds.pop(None, None)
        _exceptions("negative_ttl", kinds)
    else:
        none_ttl = default = _duration("negative_ttl", ttl)
    if isinstance(exceptions, Mapping):
        kinds.update((kind, _duration("cache_exceptions", seconds)) for kind, seconds in exceptions.items())
    else:
        named = (exceptions,) if isinstance(exceptions, type) else tuple(exceptions)
        kinds = {**dict.fromkeys(named, default), **kinds}
    _exceptions("cache_exceptions", kinds)
    return none_ttl, tuple(kinds.items())


def _exceptions(name: str, kinds: Iterable[Any]) -> None:
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            raise TypeError(f"{name} names exceptions (classes derived from Exception), not {kind!r}")


def _copier(value: Any) -> Callable[[Any], Any] | None:
    if value is False or value is None:
        return None
    if callable(value):
        return value  # type: ignore[no-any-return]
    if isinstance(value, str) and value in _COPIES:
        return _COPIES[value]
    raise ValueError(f'copy is False, "shallow", "deep" or a function, not {value!r}')


def _tagger(tags: Any) -> Callable[..., Iterable[Any]] | None:
    if tags is None or callable(tags):
        return tags  # type: ignore[no-any-return]
    fixed = (tags,) if isinstance(tags, str) else tuple(tags)
    for tag in fixed:
        hash(tag)
    return (lambda *_, **__: fixed) if fixed else None


def _callable_or_none(name: str, value: Any) -> Any:
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be callable, not a {type(value).__name__}")
    return value
