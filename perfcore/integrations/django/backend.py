"""``PerfcoreCache``: Django's cache API over a :class:`~perfcore.cache.CacheManager`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from perfcore._repr import safe_repr
from perfcore.cache.computing import Keep
from perfcore.cache.ladder import ABSENT
from perfcore.integrations.django.awaited import DEFAULT_TIMEOUT, Awaited
from perfcore.integrations.django.opening import opened

__all__ = ["PerfcoreCache"]


class PerfcoreCache(Awaited):
    """A cache backend: memory, and below it a directory or servers, where settings name them.

    ``LOCATION`` is a name (memory alone, one for each name), an absolute path (a directory that all
    processes of the machine share) or ``redis://`` servers. ``OPTIONS``: ``MEMORY``, ``DISK`` and ``REMOTE``
    are those of a :class:`~perfcore.cache.CacheManager`; ``MAX_ENTRIES`` is how many entries memory holds
    (without it they are 256 MB), and those that are worth least leave one by one: there is nothing to cull.

    Callers get copies, as from Django's own backends. What is on a disk or a server may be written by
    others, so nothing read from there can run code: values are of the codec's types, others raise
    :exc:`TypeError`, unless ``PICKLE`` is true; ``SECRET`` (16 bytes or more) signs what is stored. In memory
    alone, all that can be pickled is kept.

    ``add``, ``incr``, ``decr`` and ``touch`` are atomic between the threads of a process, and between
    processes that share a directory as far as they all use these verbs; not between machines.

    >>> cache = PerfcoreCache("doctest", {"TIMEOUT": 60})
    >>> cache.set("user:1", {"plan": "free"}); cache.get("user:1"); cache.add("user:1", None)
    {'plan': 'free'}
    False
    """

    def __init__(self, location: Any, params: Mapping[str, Any]) -> None:
        super().__init__(params)
        self._manager, self._values, self._turns, self._local = opened(location, params.get("OPTIONS", {}))

    @safe_repr
    def __repr__(self) -> str:
        return f"<PerfcoreCache: {self._manager!r}>"

    # -- one key --

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        """Return a copy of the value of ``key``, or ``default``."""
        held = self._manager.get(self.make_and_validate_key(key, version), ABSENT)
        return default if held is ABSENT else self._values.unpack(held, default)

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> None:
        """Store a copy of ``value`` for ``timeout`` seconds (None: for ever; 0 and less: not at all)."""
        name, held = self.make_and_validate_key(key, version), self._values.pack(value)
        with self._turns.among([name]):
            self._put(name, held, self._seconds(timeout))

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        """Store a copy of ``value`` if ``key`` has none; say whether it was stored."""
        name, held = self.make_and_validate_key(key, version), self._values.pack(value)

        def act() -> bool:
            if self._look(name) is not ABSENT:
                return False
            self._put(name, held, self._seconds(timeout), at_once=True)
            return True

        return self._turns.alone(name, act)

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: Any = None) -> bool:
        """Let ``key`` live for ``timeout`` seconds from now; say whether it was there."""
        name = self.make_and_validate_key(key, version)

        def act() -> bool:
            held = self._manager.get(name, ABSENT)
            if held is not ABSENT:
                self._put(name, held, self._seconds(timeout), at_once=True)
            return held is not ABSENT

        return self._turns.alone(name, act)

    def incr(self, key: Any, delta: Any = 1, version: Any = None) -> Any:
        """Add ``delta`` to a value, which lives on as long as it would have; raises :exc:`ValueError`
        without one.
        """
        name = self.make_and_validate_key(key, version)

        def act() -> Any:
            held = self._look(name)
            left = ABSENT if held is ABSENT else self._left(name)
            if left is ABSENT:
                raise ValueError(f"Key {key!r} not found")
            value = held + delta
            self._put(name, self._values.pack(value), left, at_once=True)
            return value

        return self._turns.alone(name, act)

    def delete(self, key: Any, version: Any = None) -> bool:
        """Remove ``key``; say whether it was there."""
        name = self.make_and_validate_key(key, version)
        with self._turns.among([name]):
            return self._manager.delete(name)

    def has_key(self, key: Any, version: Any = None) -> bool:
        """Say whether ``key`` has a value."""
        return self._look(self.make_and_validate_key(key, version)) is not ABSENT

    # -- many keys --

    def get_many(self, keys: Iterable[Any], version: Any = None) -> dict[Any, Any]:
        """Return those of ``keys`` that have a value, with copies; each tier is asked once."""
        names = {key: self.make_and_validate_key(key, version) for key in keys}
        return self._found(names, self._manager.get_many(names.values(), ABSENT))

    def set_many(
        self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: Any = None
    ) -> list[Any]:
        """Store copies of all of ``data``, in one transaction on each tier; returns no keys that failed."""
        items = {
            self.make_and_validate_key(key, version): self._values.pack(value) for key, value in data.items()
        }
        seconds = self._seconds(timeout)
        with self._turns.among(items):
            if seconds is not None and seconds <= 0:
                self._manager.delete_many(items)
            else:
                self._manager.set_many(items, ttl=seconds)
        return []

    def delete_many(self, keys: Iterable[Any], version: Any = None) -> None:
        """Remove ``keys``, in one transaction on each tier."""
        names = [self.make_and_validate_key(key, version) for key in keys]
        with self._turns.among(names):
            self._manager.delete_many(names)

    def clear(self) -> None:
        """Remove everything of the ``NAMESPACE``; without one, everything in this place."""
        with self._turns.whole():
            self._manager.clear()

    # -- parts --

    def _found(self, names: Mapping[Any, Any], held: Iterable[Any]) -> dict[Any, Any]:
        values = {
            key: self._values.unpack(one, ABSENT)
            for key, one in zip(names, held, strict=True)
            if one is not ABSENT
        }
        return {key: value for key, value in values.items() if value is not ABSENT}

    def _look(self, name: Any) -> Any:
        held = self._manager.get(name, ABSENT)
        return ABSENT if held is ABSENT else self._values.unpack(held, ABSENT)

    def _put(self, name: Any, held: Any, seconds: float | None, *, at_once: bool = False) -> None:
        if seconds is not None and seconds <= 0:
            self._manager.delete(name)
        else:
            keep: Keep = "sync" if at_once else None
            self._manager.set(name, held, ttl=seconds, persistent=keep, distributed=keep)

    def _left(self, name: Any) -> Any:
        """The seconds that a value has left, None for ever, ABSENT when it has gone."""
        known = self._manager.explain(name)
        if known.below:  # memory may keep its copy for less
            return next(iter(known.below.values()))
        return known.memory.expires_in if known.memory.state == "present" else ABSENT

    def _seconds(self, timeout: Any) -> float | None:
        seconds: float | None = self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        return seconds
