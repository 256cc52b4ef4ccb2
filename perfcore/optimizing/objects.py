"""An object whose methods are optimized each by itself."""

from __future__ import annotations

from typing import Any, Self

from perfcore._repr import safe_repr
from perfcore.optimizing.gains import Gain

__all__ = ["OptimizedObject"]


class OptimizedObject:
    """Stands for an object: its public methods are optimized when they are first used, all else is its own.

    Setting an attribute sets it on the object itself. ``len``, operators and other special methods are those
    of the object only through it: ``optimized.__wrapped__``.
    """

    def __init__(self, target: Any, options: dict[str, Any]) -> None:
        object.__setattr__(self, "__wrapped__", target)
        object.__setattr__(self, "_options", options)
        object.__setattr__(self, "_methods", {})

    def __getattr__(self, name: str) -> Any:
        methods: dict[str, Any] = object.__getattribute__(self, "_methods")
        if name in methods:
            return methods[name]
        found = getattr(object.__getattribute__(self, "__wrapped__"), name)
        if name.startswith("_") or not callable(found) or isinstance(found, type):
            return found
        from perfcore.optimizing.entry import optimize_for_performance

        options = object.__getattribute__(self, "_options")
        methods[name] = optimize_for_performance(found, **options)
        return methods[name]

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(object.__getattribute__(self, "__wrapped__"), name, value)
        object.__getattribute__(self, "_methods").pop(name, None)

    def report(self) -> dict[str, list[Gain]]:
        """Return the report of each method that was used."""
        methods = object.__getattribute__(self, "_methods")
        return {name: method.report() for name, method in methods.items()}

    def close(self) -> None:
        """End the workers of all methods, and close the object if it can be."""
        methods = object.__getattribute__(self, "_methods")
        for name, method in methods.items():
            if name != "close" and hasattr(method, "close"):
                method.close()
        target = object.__getattribute__(self, "__wrapped__")
        if callable(getattr(target, "close", None)):
            target.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @safe_repr
    def __repr__(self) -> str:
        return f"<OptimizedObject of {object.__getattribute__(self, '__wrapped__')!r}>"
