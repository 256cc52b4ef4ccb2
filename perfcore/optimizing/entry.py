"""``optimize_for_performance``: the parser, or any function, coroutine function or object, made faster."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, overload

from perfcore.optimizing.options import Options

if TYPE_CHECKING:
    from perfcore.optimizing.functions import OptimizedCoroutine, OptimizedFunction
    from perfcore.optimizing.objects import OptimizedObject
    from perfcore.parsing import OptimizedParser

__all__ = ["optimize_for_performance"]


@overload
def optimize_for_performance(
    target: Mapping[str, Any] | None = None, /, **options: Any
) -> OptimizedParser: ...
@overload
def optimize_for_performance(
    target: Callable[..., Coroutine[Any, Any, Any]], /, **options: Any
) -> OptimizedCoroutine: ...
@overload
def optimize_for_performance(target: Callable[..., Any], /, **options: Any) -> OptimizedFunction: ...
@overload
def optimize_for_performance(target: object, /, **options: Any) -> OptimizedObject: ...
def optimize_for_performance(target: Any = None, /, **options: Any) -> Any:
    """Return something that is used like ``target``, and faster where measuring says so.

    Without a target, or with a mapping of options, it is a parser of source files
    (:func:`perfcore.parsing.optimize_for_performance`). A function gives an :class:`.OptimizedFunction`, a
    coroutine function an :class:`.OptimizedCoroutine`, any other object an :class:`.OptimizedObject` of its
    methods; the options are those of :class:`.Options`. ``report()`` says what each measure has gained:
    a cache (only where ``pure`` or ``cache_ttl`` allow it), workers and batches for ``map``, a limit.

    Raises TypeError for an unknown option or one of the wrong type, ValueError for one out of range.

    >>> @optimize_for_performance
    ... def double(number):
    ...     return 2 * number
    >>> double(21), double.map([1, 2, 3]), double.report()[0].applied
    (42, [2, 4, 6], False)
    """
    if target is None or isinstance(target, Mapping):
        from perfcore.parsing import optimize_for_performance as parser

        return parser(target, **options)
    unknown = options.keys() - {*Options.__struct_fields__}
    if unknown:
        raise TypeError(f"unknown option {', '.join(sorted(map(repr, unknown)))}")
    checked = Options(**options)
    if not callable(target) or isinstance(target, type) or _has_methods(target):
        from perfcore.optimizing.objects import OptimizedObject

        if isinstance(target, type):
            raise TypeError(f"expected a function or an object, got the class {target.__name__}")
        return OptimizedObject(target, options)
    from perfcore.optimizing.functions import OptimizedCoroutine, OptimizedFunction

    kind = OptimizedCoroutine if iscoroutinefunction(target) else OptimizedFunction
    return kind(target, checked)


def _has_methods(target: Any) -> bool:
    """Say whether a callable is more than that: an object with ``__call__`` and methods of its own."""
    from types import BuiltinFunctionType, FunctionType, MethodType

    if isinstance(target, FunctionType | MethodType | BuiltinFunctionType) or hasattr(target, "__wrapped__"):
        return False
    return any(callable(getattr(target, name, None)) for name in dir(target) if not name.startswith("_"))
