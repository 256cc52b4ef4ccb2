"""What the cached forms of plain functions and of coroutine functions have in common."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, NoReturn

from perfcore._log import logger
from perfcore.cache.flight import FAILED, Flight, Flights
from perfcore.cache.functions.options import Options
from perfcore.cache.functions.shelf import Entry, Shelf, bare

__all__ = ["Calls"]

_ONCE: tuple[tuple[type, str], ...] = (
    (GeneratorType, "a generator, which can be read only once: return a list or a tuple"),
    (AsyncGeneratorType, "an asynchronous generator, which can be read only once: return a list or a tuple"),
    (CoroutineType, "a coroutine, which can be awaited only once: decorate the coroutine function itself"),
)


class Calls:
    """The calls of one function: those under way, their results, and what its memo cannot count."""

    make_flights: Callable[[], Flights] = Flights

    def __init__(self, function: Callable[..., Any], name: str, shelf: Shelf, options: Options) -> None:
        self.function, self.name, self.shelf, self.options = function, name, shelf, options
        self.flights = self.make_flights()
        #: How many arguments need not be hashed: of methods, the instance.
        self.skipped = 0
        self._lock = Lock()
        self._joined = 0
        self._failing = False

    # --- counting ------------------------------------------------------------------------------------------

    @property
    def joined(self) -> int:
        """Of the calls that the memo counts as misses, how many were answered by the call of another."""
        return self._joined

    def note_joined(self, calls: int = 1) -> None:
        """Count calls that ran nothing, and were taken for misses; negative, calls that did and were not."""
        with self._lock:
            self._joined += calls

    def reset_counts(self) -> None:
        """Begin counting anew."""
        with self._lock:
            self._joined = 0

    # --- invalidation --------------------------------------------------------------------------------------

    def invalidate(self, key: Any) -> bool:
        """Forget the result of a key, also one that is being computed; say whether there was one."""
        self.flights.outdate(key)
        found: bool = self.shelf.cache.delete(key)
        return found

    def invalidate_tags(self, *tags: Any) -> None:
        """Forget every result that has one of these tags, also those that are being computed."""
        self.shelf.cache.invalidate_tags(*tags)
        self.flights.outdate_where(lambda flight: flight.holds is not None and not flight.holds())

    # --- results -------------------------------------------------------------------------------------------

    def note_tags(self, flight: Flight, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> None:
        """Have a flight know, before its value is computed, the tags of the call."""
        if self.options.tags is not None:
            self.shelf.label(flight, self.options.tags(*args, **(kwargs or {})))

    def finish(self, value: Any) -> Any:
        """Return what callers get for a value: itself, or a copy."""
        return value if self.options.copy is None else self.options.copy(value)

    def hand_out(self, found: Any) -> Any:
        """Return what callers get for what is stored, or raise it."""
        if not isinstance(found, Entry):
            return self.finish(found)
        if found.error is None:
            return self.finish(found.value)
        raise bare(found.error)  # a copy: what is raised gathers tracebacks

    def landed(self, flight: Flight) -> Any:
        """Return what callers get for a flight that is over, or raise its error."""
        if flight.error is None:
            return self.hand_out(flight.value)
        try:
            raise flight.error
        finally:
            del flight  # or the error, its traceback and this frame would hold each other

    def checked(self, value: Any) -> Any:
        """Return a result; :exc:`TypeError` for one that can be used only once, and so cannot be shared."""
        for kind, what in _ONCE:
            if isinstance(value, kind):
                if isinstance(value, CoroutineType):
                    value.close()  # or it would complain that nobody awaited it
                raise TypeError(f"{self.name}() cannot be cached, it returned {what}")
        return value

    def unhashable(self, error: TypeError, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> NoReturn:
        """Raise the error again, naming the argument that cannot be hashed and the way out."""
        for name, value in named_arguments(self.function, args, kwargs or {})[self.skipped :]:
            try:
                hash(value)
            except TypeError:
                raise TypeError(
                    f"argument {name!r} of {self.name}() cannot be hashed, it is a {type(value).__name__}: "
                    "pass something immutable (a tuple, a frozenset), or say with key= what its key is"
                ) from error
        raise error

    def note_failure(self, flight: Flight) -> None:
        """Log the first of failed refreshes in a row; nobody waits for them."""
        if flight.state == FAILED and not self._failing:
            kind = type(flight.error).__name__
            logger("cache").warning("refreshing %s() behind its callers failed with %s", self.name, kind)
        self._failing = flight.state == FAILED

    def late(self) -> TimeoutError:
        """Return the error of a call that waited as long as it may."""
        return TimeoutError(
            f"{self.name}() took longer than its hard_timeout of {self.options.hard_timeout:g} s"
        )


def named_arguments(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[tuple[str, Any]]:
    """Return the arguments of a call with their names; by position where the function has none to tell."""
    from inspect import signature

    try:
        parameters = list(signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((f"*{p.name}" for p in parameters if p.kind == p.VAR_POSITIONAL), "")
    named = [
        (names[i] if i < len(names) else f"{rest}[{i - len(names)}]", value) for i, value in enumerate(args)
    ]
    return [*named, *kwargs.items()]
