"""Whether a cluster runs the same versions as this process: what is pickled here must be read there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfcore._log import logger
from perfcore.scaling.errors import VersionMismatchError

__all__ = ["TESTED", "check", "note_untested"]

log = logger("scaling")

#: the releases of distributed between which the tests pass; the extra ``dask`` installs no other
TESTED = ("2026.1.1", "2026.8.0")


def check(report: Mapping[str, Any]) -> None:
    """Refuse a cluster of other versions; ``report`` is what ``Client.get_versions`` returns.

    Python has to agree in its minor version (code objects are sent), distributed and, on the workers,
    perfcore exactly.

    >>> ours = {"packages": {"python": "3.11.7", "distributed": "2026.8.0", "perfcore": "0.1.0"}}
    >>> theirs = {"packages": {"python": "3.12.1", "distributed": "2026.8.0", "perfcore": "0.1.0"}}
    >>> check({"client": ours, "scheduler": theirs, "workers": {}})
    Traceback (most recent call last):
    perfcore.scaling.errors.VersionMismatchError: the scheduler runs Python 3.12, this process 3.11
    """
    own = report["client"]["packages"]
    others = {"the scheduler": report["scheduler"]}
    others |= {f"the worker {address}": told for address, told in report["workers"].items()}
    for who, told in others.items():
        packages = told["packages"]
        for name in ("python", "distributed", *(("perfcore",) if who != "the scheduler" else ())):
            theirs, ours = _version(name, packages.get(name)), _version(name, own.get(name))
            if theirs != ours:
                title = "Python" if name == "python" else name
                raise VersionMismatchError(f"{who} runs {title} {theirs}, this process {ours}")


def _version(name: str, version: str | None) -> str:
    if not version:
        return "(not installed)"
    return ".".join(version.split(".")[:2]) if name == "python" else version


def note_untested(version: str) -> None:
    """Log a distributed that nobody has tested; its public API is not what breaks first."""
    numbers = [tuple(int(part) for part in text.split(".")[:3]) for text in (TESTED[0], version, TESTED[1])]
    if sorted(numbers) != numbers:
        log.warning("distributed %s is outside of what was tested, %s to %s", version, *TESTED)
