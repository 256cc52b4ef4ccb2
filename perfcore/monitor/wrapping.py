"""A wrapper that takes just the arguments of what it wraps.

The interpreter calls one Python function from another without a C call, and that is what makes an empty call
cost 13 ns. ``*args, **kwargs`` in between make a tuple and a dict of the arguments and leave that path, which
adds 73 ns; a wrapper that is compiled with the function's own parameters adds a third of that. It has the
gate's tickets at hand, because to look an attribute up is a tenth of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import update_wrapper
from inspect import CO_VARARGS, CO_VARKEYWORDS
from types import CodeType, FunctionType
from typing import Any

from perfcore.monitor.sampling import Gate

__all__ = ["wrapped"]

#: called with gate, title, function and its arguments when there is no ticket for a call
Perhaps = Callable[[Gate, str, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]

#: Names that no parameter has: a name with a space would not compile, and these are nobody's.
_SOURCE = """
def make(perfcore_fn_, perfcore_gate_, perfcore_title_, perfcore_perhaps_):
    perfcore_skips_ = perfcore_gate_.skips
    def wrapper({parameters}):
        for perfcore_ticket_ in perfcore_skips_:
            return perfcore_fn_({arguments})
        return perfcore_perhaps_(perfcore_gate_, perfcore_title_, perfcore_fn_, ({tuple}), {{{dict}}})
    def drawn(skips):
        nonlocal perfcore_skips_
        perfcore_skips_ = skips
    perfcore_gate_.drawn = drawn
    return wrapper
"""


def wrapped(fn: Callable[..., Any], gate: Gate, title: str, perhaps: Perhaps) -> Any:
    """Return a function that calls ``fn`` while ``gate`` has tickets, and ``perhaps`` for the others.

    >>> def add(a, b=2): return a + b
    >>> wrapped(add, Gate(0.0), "add", lambda *sampled: None)(40)
    42
    """
    code = getattr(fn, "__code__", None)
    if not isinstance(fn, FunctionType) or not isinstance(code, CodeType):
        return update_wrapper(_general(fn, gate, title, perhaps), fn)
    names: dict[str, Any] = {}
    exec(compile(_source(code), f"<profiled {title}>", "exec"), names)
    wrapper = names["make"](fn, gate, title, perhaps)
    wrapper.__defaults__ = fn.__defaults__
    wrapper.__kwdefaults__ = fn.__kwdefaults__ and dict(fn.__kwdefaults__)
    return update_wrapper(wrapper, fn)


def _general(fn: Callable[..., Any], gate: Gate, title: str, perhaps: Perhaps) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        for _ in gate.skips:
            return fn(*args, **kwargs)
        return perhaps(gate, title, fn, args, kwargs)

    return wrapper


def _source(code: CodeType) -> str:
    names = iter(code.co_varnames)
    positional = [next(names) for _ in range(code.co_argcount)]
    keywords = [next(names) for _ in range(code.co_kwonlyargcount)]
    rest = next(names) if code.co_flags & CO_VARARGS else None
    named = next(names) if code.co_flags & CO_VARKEYWORDS else None
    passed = [*positional, *([f"*{rest}"] if rest else [])]
    extra = [f"**{named}"] if named else []
    return _SOURCE.format(
        parameters=", ".join([*_parameters(code, positional, rest, keywords), *extra]),
        arguments=", ".join([*passed, *(f"{name}={name}" for name in keywords), *extra]),
        tuple="".join(f"{name}, " for name in passed),
        dict=", ".join([*(f"{name!r}: {name}" for name in keywords), *extra]),
    )


def _parameters(
    code: CodeType, positional: list[str], rest: str | None, keywords: list[str]
) -> Iterator[str]:
    yield from positional[: code.co_posonlyargcount]
    if code.co_posonlyargcount:
        yield "/"
    yield from positional[code.co_posonlyargcount :]
    if rest or keywords:
        yield f"*{rest or ''}"
    yield from keywords
