from typing import Any, Literal, Self, TypeAlias, final

import numpy.typing as npt
from typing_extensions import Buffer, disjoint_base

__all__ = [
    "Counter",
    "Gauge",
    "Instrument",
    "Words",
    "bind",
    "install",
    "replace_mapping",
    "shards_here",
    "wrap",
]

_Buffer: TypeAlias = Buffer | npt.NDArray[Any]
_Labels: TypeAlias = list[str] | tuple[str, ...]

def bind(instrument: Instrument, *arguments: Any) -> None: ...
def install(installed: Any, /) -> None: ...
def replace_mapping(buffer: _Buffer, fd: int, /) -> None: ...
def shards_here() -> int: ...
def wrap(timer: Any, function: Any) -> Any: ...

@final
class Words:
    def __new__(cls, count: int, home: _Buffer | None = None, offset: int = 0) -> Self: ...
    @property
    def count(self) -> int: ...

@disjoint_base
class Instrument:
    @property
    def name(self) -> str: ...
    @property
    def family(self) -> Any: ...
    @property
    def label_values(self) -> tuple[str, ...] | None: ...
    def labels(self, *values: object, **named: object) -> Self: ...
    def _attach(
        self, words: Words | None, family: Any, label_values: tuple[str, ...] | None, shards: int
    ) -> None: ...
    def _attach_to(self, other: Instrument) -> None: ...

@final
class Counter(Instrument):
    def __init__(
        self,
        name: str,
        description: str = "",
        *,
        unit: str = "",
        labels: _Labels = (),
        registry: Any = None,
    ) -> None: ...
    def inc(self, amount: float = 1, /) -> None: ...
    @property
    def value(self) -> float: ...

@final
class Gauge(Instrument):
    def __init__(
        self,
        name: str,
        description: str = "",
        *,
        unit: str = "",
        labels: _Labels = (),
        registry: Any = None,
        merge: Literal["sum", "max", "min", "latest"] = "sum",
    ) -> None: ...
    def set(self, value: float, /) -> None: ...
    def inc(self, amount: float = 1, /) -> None: ...
    def dec(self, amount: float = 1, /) -> None: ...
    @property
    def value(self) -> float: ...
