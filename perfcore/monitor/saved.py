"""The phases of alerts in a file, so that a restart neither forgets what fires nor fires it again."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from math import isfinite
from pathlib import Path

import msgspec

from perfcore.monitor.phases import Phase

__all__ = ["load_phases", "save_phases"]

_log = logging.getLogger("perfcore.monitor")
_VERSION = 1
_TIMES = ("since", "held", "fired", "told")


class _Saved(msgspec.Struct):
    version: int
    #: Unix seconds
    at: float
    #: Times are seconds before ``at``: the clock they were taken by means nothing in another process.
    phases: dict[str, dict[str, int | float | str | None]]


def save_phases(path: Path, phases: Mapping[str, Phase], now: float, wall: float) -> None:
    """Write the file anew, whole or not at all; a disk that cannot is logged and otherwise no trouble."""
    saved = _Saved(_VERSION, wall, {name: _aged(phase, now) for name, phase in phases.items()})
    from tempfile import mkstemp  # 4 ms of a start, and many alerts have no state file

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, draft = mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(saved))
        Path(draft).replace(path)
    except OSError as error:
        _log.warning("the state of alerts could not be saved: %s", error)


def load_phases(path: Path, now: float, wall: float) -> dict[str, Phase]:
    """Return the phases by the clock that says ``now``; none when there is no file, or no good one."""
    try:
        saved = msgspec.json.decode(path.read_bytes(), type=_Saved)
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError) as error:
        _log.warning("the saved state of alerts was not usable: %s", error)
        return {}
    if saved.version != _VERSION:
        return {}
    down = max(0.0, wall - saved.at)  # a wall clock that went back has taken no time
    return {name: phase for name, aged in saved.phases.items() if (phase := _restored(aged, now - down))}


def _aged(phase: Phase, now: float) -> dict[str, int | float | str | None]:
    ages = {name: now - getattr(phase, name) for name in _TIMES}
    return {
        "name": phase.name,
        "samples": phase.samples,
        **{name: age if isfinite(age) else None for name, age in ages.items()},
    }


def _restored(aged: Mapping[str, int | float | str | None], saved_at: float) -> Phase | None:
    fields = dict(aged)
    for name in _TIMES:
        age = fields.get(name)
        fields[name] = saved_at - age if isinstance(age, int | float) else float("-inf")
    try:
        return msgspec.convert(fields, Phase)
    except msgspec.ValidationError:
        return None
