"""Stands in for ``diskcache.core``: diskcache's Cache, spoken by a DiskCache.

Their recipes and their Index, loaded from their source archive, run on top of this unchanged. It makes what
their class has and ours has not (counters in place, queues, one tag that can be read back, statistics that
are switched on) out of our verbs, and nothing that would hide a difference of behaviour.
"""

import contextlib
import functools
import tempfile
import threading
import time
import warnings

from perfcore.cache import DiskCache
from perfcore.cache.codec import Codec
from perfcore.cache.disk import queries

DEFAULT_SETTINGS = {"size_limit": 2**30, "cull_limit": 10, "statistics": 0, "eviction_policy": "fifo"}
MAX_BYTES = "256MB"
#: one lock for each directory: ours has no transactions over several verbs
_LOCKS = {}


class Constant(tuple):
    def __new__(cls, name):
        return tuple.__new__(cls, (name,))

    def __repr__(self):
        return self[0]


ENOVAL, UNKNOWN = Constant("ENOVAL"), Constant("UNKNOWN")


class Timeout(Exception):  # noqa: N818  # their name
    pass


class EmptyDirWarning(UserWarning):
    pass


class UnknownFileWarning(UserWarning):
    pass


class Disk:
    """A name that their tests derive from; nothing here asks it anything."""


JSONDisk = Disk
EVICTION_POLICY = {}


def full_name(function):
    return f"{function.__module__}.{function.__qualname__}"


def args_to_key(base, args, kwargs, typed, ignore):
    """Return the key of a call, made of what a key may be made of."""
    kept = tuple(arg for place, arg in enumerate(args) if place not in ignore)
    named = tuple((name, value) for name, value in sorted(kwargs.items()) if name not in ignore)
    key = (*base, kept, named)
    return (*key, tuple(type(arg).__name__ for arg in kept)) if typed else key


def _picked(value, expiry, tag, expire_time, want_tag):
    chosen = (value, *([expiry] if expire_time else ()), *([tag] if want_tag else ()))
    return chosen if len(chosen) > 1 else value


class Cache:
    """A value is stored as the pair of it and its tag."""

    def __init__(self, directory=None, timeout=60, disk=None, **settings):
        self._directory = str(directory or tempfile.mkdtemp(prefix="diskcache-"))
        self._settings = DEFAULT_SETTINGS | settings
        self._counting, self._counts = False, [0, 0]
        self._open()

    def _open(self):
        self._cache = DiskCache(
            self._directory, maxbytes=MAX_BYTES, codec=Codec(pickle=True), durability="commit"
        )
        self._lock = _LOCKS.setdefault(self._directory, threading.RLock())

    def __getattr__(self, name):
        if name.startswith("_") or name not in self._settings:
            raise AttributeError(name)
        return self._settings[name]

    def __getstate__(self):
        return self._directory

    def __setstate__(self, directory):
        self.__init__(directory)

    @property
    def directory(self):
        return self._directory

    @contextlib.contextmanager
    def transact(self, retry=False):
        with self._lock:
            yield

    # -- one key --

    def get(self, key, default=None, read=False, expire_time=False, tag=False, retry=False):
        expiry = self._expiry(key) if expire_time else None  # first: it may be over between the two
        pair = self._cache.get(key, ENOVAL)
        if self._counting:
            self._counts[pair is ENOVAL] += 1
        if pair is ENOVAL:
            return _picked(default, None, None, expire_time, tag)
        return _picked(pair[0], expiry, pair[1], expire_time, tag)

    def _expiry(self, key):
        try:
            left = self._cache.expires_in(key)
        except KeyError:
            return None
        return None if left is None else time.time() + left

    def __getitem__(self, key):
        value = self.get(key, ENOVAL)
        if value is ENOVAL:
            raise KeyError(key)
        return value

    def set(self, key, value, expire=None, read=False, tag=None, retry=False):
        pair = (value.read() if read else value, tag)
        self._cache.set(key, pair, ttl=expire, tags=() if tag is None else [repr(tag)])
        return True

    def __setitem__(self, key, value):
        self.set(key, value)

    def add(self, key, value, expire=None, read=False, tag=None, retry=False):
        tags = () if tag is None else [repr(tag)]
        return self._cache.add(key, (value, tag), ttl=expire, tags=tags)

    def touch(self, key, expire=None, retry=False):
        return self._cache.touch(key, ttl=expire)

    def pop(self, key, default=None, expire_time=False, tag=False, retry=False):
        with self._lock:
            expiry = self._expiry(key)
            pair = self._cache.pop(key, ENOVAL)
        if pair is ENOVAL:
            return _picked(default, None, None, expire_time, tag)
        return _picked(pair[0], expiry, pair[1], expire_time, tag)

    def delete(self, key, retry=False):
        return self._cache.delete(key)

    def __delitem__(self, key, retry=True):
        del self._cache[key]

    def __contains__(self, key):
        return key in self._cache

    def incr(self, key, delta=1, default=0, retry=False):
        with self._lock:
            pair = self._cache.get(key, ENOVAL)
            if pair is ENOVAL and default is None:
                raise KeyError(key)
            value = (default if pair is ENOVAL else pair[0]) + delta
            self.set(key, value, tag=None if pair is ENOVAL else pair[1])
            return value

    def decr(self, key, delta=1, default=0, retry=False):
        return self.incr(key, -delta, default)

    # -- all of them --

    def __len__(self):
        return len(self._cache)

    def __iter__(self):
        return iter(list(self._cache))

    def __reversed__(self):
        return reversed(self._cache)

    def iterkeys(self, reverse=False):
        return iter(sorted(self._cache, reverse=reverse))

    def peekitem(self, last=True, expire_time=False, tag=False, retry=False):
        with self._lock:
            key = next(reversed(self._cache) if last else iter(self._cache), ENOVAL)
            if key is ENOVAL:
                raise KeyError("dictionary is empty")
            value, found = self._cache.peek(key)
            return _picked((key, value), self._expiry(key), found, expire_time, tag)

    def push(self, value, prefix=None, side="back", expire=None, read=False, tag=None, retry=False):
        with self._lock:
            numbers = [number for number, _ in self._queue(prefix)] or [
                500_000_000_000_000 - (side == "back")
            ]
            number = numbers[-1] + 1 if side == "back" else numbers[0] - 1
            key = number if prefix is None else f"{prefix}-{number:015d}"
            self.set(key, value, expire, read, tag)
            return key

    def pull(
        self, prefix=None, default=(None, None), side="front", expire_time=False, tag=False, retry=False
    ):
        with self._lock:
            found = self.peek(prefix, default, side, True, True)
            (key, value), expiry, held = found
            if found[0] is not default:
                self._cache.delete(key)
            return _picked((key, value), expiry, held, expire_time, tag)

    def peek(
        self, prefix=None, default=(None, None), side="front", expire_time=False, tag=False, retry=False
    ):
        queue = self._queue(prefix)
        if not queue:
            return _picked(default, None, None, expire_time, tag)
        key = queue[-1 if side == "back" else 0][1]
        value, held = self._cache.peek(key)
        return _picked((key, value), self._expiry(key), held, expire_time, tag)

    def _queue(self, prefix):
        self._cache.expire()  # as theirs do on the way
        if prefix is None:
            return sorted((key, key) for key in self._cache if isinstance(key, int))
        start = f"{prefix}-"
        keys = [key for key in self._cache if isinstance(key, str) and key.startswith(start)]
        return sorted((int(key[len(start) :]), key) for key in keys)

    def expire(self, now=None, retry=False):
        return self._cache.expire()

    def evict(self, tag, retry=False):
        before = len(self._cache)
        self._cache.invalidate_tags(repr(tag))
        self._cache.expire()
        return before - len(self._cache)

    def clear(self, retry=False):
        count = len(self._cache)
        self._cache.clear()
        return count

    def check(self, fix=False, retry=False):
        found = self._cache.verify()
        return [] if found[1:] == (0, None) else [warnings.WarningMessage(str(found), UserWarning, "", 0)]

    def stats(self, enable=True, reset=False):
        counts = tuple(self._counts)
        self._counting = enable
        if reset:
            self._counts = [0, 0]
        return counts

    def volume(self):
        return queries.stats(self._cache._store, 0, 0).bytes

    def reset(self, key, value=ENOVAL, update=True):
        if value is not ENOVAL:
            self._settings[key] = value
        return self._settings[key]

    def memoize(self, name=None, typed=False, expire=None, tag=None, ignore=()):
        if callable(name):
            raise TypeError("name cannot be callable")

        def decorate(function):
            base = (full_name(function) if name is None else name,)

            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                key = wrapper.__cache_key__(*args, **kwargs)
                result = self.get(key, ENOVAL)
                if result is ENOVAL:
                    result = function(*args, **kwargs)
                    self.set(key, result, expire, tag=tag)
                return result

            wrapper.__cache_key__ = lambda *args, **kwargs: args_to_key(base, args, kwargs, typed, ignore)
            return wrapper

        return decorate

    def close(self):
        self._cache.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
