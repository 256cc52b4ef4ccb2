"""What can be made ready before it is first asked for, in a thread behind the start."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import cache_from_source
from pathlib import Path
from pkgutil import walk_packages
from threading import Event, Thread
from time import perf_counter
from typing import NamedTuple

from perfcore._log import logger
from perfcore._repr import safe_repr
from perfcore.config.schema import PerformanceConfig
from perfcore.errors import MissingExtraError

__all__ = ["Precompilation", "Step", "load_everything"]

log = logger("precompile")

_PACKAGE = Path(__file__).parent
#: a command line is a program, and the file of all native rooms none itself
_NO_PARTS = ("perfcore.cli", "perfcore.__main__", "perfcore._native._rooms")


class Step(NamedTuple):
    """One thing that was made ready: its name, the seconds it took, and what it came to."""

    name: str
    seconds: float
    result: str


class Precompilation:
    """Makes ready what a configuration will need: bytecode, grammars with their rules, the disk's dictionary.

    It runs in a daemon thread of its own, one step after the other, and stops between two of them when
    closed. What fails is logged and leaves the rest alone: it will be made when it is needed.
    """

    def __init__(self, config: PerformanceConfig, disk: object = None) -> None:
        self._stop = Event()
        self._steps: list[Step] = []
        self._plan = [*_plan(config, disk)]
        self._thread = Thread(target=self._run, name="perfcore-precompile", daemon=True)
        self._thread.start()

    @safe_repr
    def __repr__(self) -> str:
        return f"<Precompilation: {len(self._steps)} of {len(self._plan)} steps>"

    def _run(self) -> None:
        for name, make in self._plan:
            if self._stop.is_set():
                return
            begun = perf_counter()
            try:
                result = make()
            except MissingExtraError as error:
                result = str(error)
            except Exception as error:
                log.warning("making ready the %s failed", name, exc_info=True)
                result = f"failed: {type(error).__name__}: {error}"
            self._steps.append(Step(name, perf_counter() - begun, result))

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until everything is ready; False if ``timeout`` seconds were not enough."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def stats(self) -> list[Step]:
        """Return the steps that are done."""
        return list(self._steps)

    def close(self) -> None:
        """Begin no further step, and wait for the one that is under way."""
        self._stop.set()
        self._thread.join()


def _plan(config: PerformanceConfig, disk: object) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "bytecode", _compile_bytecode
    if config.parsing.enable_parse_cache or config.parsing.max_concurrency:
        for language in _languages():
            yield f"grammar {language}", lambda language=language: _load_grammar(language)  # type: ignore[misc]
    prepare = getattr(disk, "prepare", None)
    if prepare is not None:
        yield "dictionary", prepare


def _compile_bytecode() -> str:
    """Write the bytecode that is missing or out of date, where the installation may be written to."""
    import compileall

    if sys.dont_write_bytecode:
        return "the interpreter writes no bytecode"
    stale = [path for path in _PACKAGE.rglob("*.py") if not _is_compiled(path)]
    written = sum(bool(compileall.compile_file(path, quiet=2)) for path in stale)
    return f"{written} of {len(stale)} files that needed it"


def _is_compiled(source: Path) -> bool:
    try:
        return Path(cache_from_source(source)).stat().st_mtime >= source.stat().st_mtime
    except OSError:
        return False


def _languages() -> list[str]:
    from perfcore.parsing.languages import LANGUAGES

    return list(LANGUAGES)


def _load_grammar(language: str) -> str:
    from perfcore.parsing.languages import load

    grammar = load(language)
    return f"{grammar.language.node_kind_count} kinds of nodes"


def load_everything() -> list[str]:
    """Import every module of perfcore whose dependencies are there; returns the names of those left out.

    What ``enable_tree_shaking`` off means: nothing waits for its first use.
    """
    from perfcore._native import ROOMS

    missing = []
    walked = [module.name for module in walk_packages([str(_PACKAGE)], "perfcore.")]
    for name in [*walked, *(f"perfcore._native.{room}" for room in ROOMS)]:
        if name.startswith(_NO_PARTS):
            continue
        try:
            import_module(name)
        except (ImportError, MissingExtraError):
            missing.append(name)
    return missing
