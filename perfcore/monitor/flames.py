"""Profiles for viewers: speedscope's file format and Chrome's trace events.

A phase stands within its call, and a call within the one that it ran in, where their times nest; what ran
beside it, as tasks and threads do, has a track of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from perfcore._version import __version__
from perfcore.monitor.profiles import Profile

__all__ = ["chrome_trace", "speedscope"]

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"


class _Bar(NamedTuple):
    """A rectangle of a flame chart, in nanoseconds."""

    start: int
    end: int
    name: str


def speedscope(profiles: Iterable[Profile], *, name: str = "perfcore") -> bytes:
    """Return a file for speedscope: a chart for each call that ran in no other one.

    >>> from perfcore.monitor.profiler import PerformanceProfiler
    >>> profiler = PerformanceProfiler(1.0)
    >>> _ = profiler.profile("f", len, "x")
    >>> msgspec.json.decode(speedscope(profiler.get_profiles()))["shared"]
    {'frames': [{'name': 'f'}]}
    """
    frames: dict[str, int] = {}
    charts = [_chart(track, frames) for track in _tracks(profiles)]
    return msgspec.json.encode(
        {
            "$schema": _SCHEMA,
            "shared": {"frames": [{"name": frame} for frame in frames]},
            "profiles": charts,
            "name": name,
            "activeProfileIndex": 0,
            "exporter": f"perfcore {__version__}",
        }
    )


def chrome_trace(profiles: Iterable[Profile]) -> bytes:
    """Return a trace for Perfetto or ``chrome://tracing``; times are those of ``time.perf_counter_ns``."""
    events: list[dict[str, Any]] = []
    for track, bars in enumerate(_tracks(profiles)):
        for bar, profile in bars:
            events.append(
                {
                    "name": bar.name,
                    "cat": "phase" if profile is None else "call",
                    "ph": "X",
                    "ts": bar.start / 1000,
                    "dur": (bar.end - bar.start) / 1000,
                    "pid": os.getpid(),
                    "tid": track,
                    "args": {} if profile is None else _arguments(profile),
                }
            )
    return msgspec.json.encode({"traceEvents": events, "displayTimeUnit": "ms"})


def _arguments(profile: Profile) -> dict[str, Any]:
    shown = ("id", "weight", "cpu_time", "memory_delta", "read_bytes", "written_bytes", "status", "error")
    return {field: getattr(profile, field) for field in shown} | profile.operations


def _chart(bars: list[tuple[_Bar, Profile | None]], frames: dict[str, int]) -> dict[str, Any]:
    """Return a track as openings and closings, in order and nested."""
    events: list[dict[str, Any]] = []
    opened: list[_Bar] = []

    def close_until(time: int) -> None:
        while opened and opened[-1].end <= time:
            bar = opened.pop()
            events.append({"type": "C", "frame": frames[bar.name], "at": bar.end})

    for bar, _ in bars:
        close_until(bar.start)
        frames.setdefault(bar.name, len(frames))
        events.append({"type": "O", "frame": frames[bar.name], "at": bar.start})
        opened.append(bar)
    last = bars[0][0]
    close_until(last.end)
    return {
        "type": "evented",
        "name": last.name,
        "unit": "nanoseconds",
        "startValue": last.start,
        "endValue": last.end,
        "events": events,
    }


def _tracks(profiles: Iterable[Profile]) -> Iterator[list[tuple[_Bar, Profile | None]]]:
    """Yield lists of bars that nest, the longest of those that start together first."""
    waiting = sorted(profiles, key=lambda profile: (profile.start_ns, -profile.duration))
    known = {profile.id: profile for profile in waiting}
    placed: dict[str, list[tuple[_Bar, Profile | None]]] = {}
    for profile in waiting:
        bars = _bars(profile)
        home = placed.get(profile.parent or "") if profile.parent in known else None
        if home is None or not _within(bars[0][0], home[0][0]) or not _fits(home, bars):
            home = []
        home.extend(bars)
        home.sort(key=lambda pair: (pair[0].start, -pair[0].end))
        placed[profile.id] = home
    seen: set[int] = set()
    for home in placed.values():
        if id(home) not in seen:
            seen.add(id(home))
            yield home


def _bars(profile: Profile) -> list[tuple[_Bar, Profile | None]]:
    """Return a call and those of its phases that nest."""
    end = profile.start_ns + round(profile.duration * 1e9)
    bars: list[tuple[_Bar, Profile | None]] = [(_Bar(profile.start_ns, end, profile.name), profile)]
    for phase in sorted(profile.phases, key=lambda phase: (phase.start, -phase.duration)):
        start = profile.start_ns + round(phase.start * 1e9)
        bar = _Bar(start, min(end, start + round(phase.duration * 1e9)), phase.name)
        if _within(bar, bars[0][0]) and _fits(bars, [(bar, None)]):
            bars.append((bar, None))
    return bars


def _within(inner: _Bar, outer: _Bar) -> bool:
    return outer.start <= inner.start <= inner.end <= outer.end


def _fits(there: list[tuple[_Bar, Profile | None]], more: list[tuple[_Bar, Profile | None]]) -> bool:
    """Say whether each pair of bars is one within the other or one after the other."""
    return all(
        one.end <= other.start or other.end <= one.start or _within(other, one) or _within(one, other)
        for one, _ in there
        for other, _ in more
    )
