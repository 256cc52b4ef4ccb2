from typing import TypedDict

__all__ = ["build_info"]

class _BuildInfo(TypedDict):
    mode: str
    optimized: bool
    assertions: bool
    sanitized: str
    traced: bool
    compiler: str
    cython: str
    python: str

def build_info() -> _BuildInfo: ...
