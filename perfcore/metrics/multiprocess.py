"""The metrics of many processes as one: add up the files of a directory, and fold in those of dead processes.

Each process registers in a ``Registry(directory=...)``, or all of them in their default registry with
``PERFCORE_METRICS_DIR``; one of them, or another process, collects::

    snapshot = collect("/run/app/metrics")

Counters and histograms of a process that ended stay: they are folded into one archive, so that the directory
does not grow with every worker that comes and goes. Gauges end with their process.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from perfcore._log import logger
from perfcore._native.histogram import HistogramSnapshot, snapshot_from
from perfcore.metrics.family import Key
from perfcore.metrics.shard import MAGIC, Entry, entries
from perfcore.metrics.snapshot import COMBINED, FamilySnapshot, RegistrySnapshot, Value

__all__ = ["collect"]

ARCHIVE = "archive.folded"
_VERSION = 1
_SERIAL = 6  # where the number of the version stands in the magic of a file
Series = dict[
    tuple[str, Key], tuple[dict[str, Any], Value, float]
]  # what it is, its value, when a gauge was set


def collect(directory: str | os.PathLike[str], *, fold: bool = True) -> RegistrySnapshot:
    """Return what all processes of a directory have counted, dead ones included.

    ``fold`` moves the files of dead processes into the archive; pass False where the directory may only be
    read. Each process's numbers are counted exactly once, whoever else collects or folds, and whenever they
    are killed. Files that are damaged or foreign are left out. A series that one process registered as
    another kind of thing than another did is a ValueError.
    """
    home = Path(directory)
    with _locked(home, exclusive=fold):
        archived, folded = _read_archive(home, put_aside=fold)
        total: Series = dict(archived)
        dead: list[Path] = []
        for path in sorted(home.glob("*.metrics")):
            if path.name in folded:
                dead.append(path)  # whoever folded it was stopped before it was removed
                continue
            alive = _alive(path)
            if not alive and not _foreign(path):  # what this release cannot read, another one will fold in
                _pour(archived, _read(path), gauges=False)
                dead.append(path)
            _pour(total, _read(path), gauges=alive)
        if fold and dead:
            _write_archive(home, archived, [path.name for path in dead])
            for path in dead:
                path.unlink(missing_ok=True)
    return _snapshot(total)


@contextmanager
def _locked(home: Path, exclusive: bool) -> Iterator[None]:
    """Hold the directory's lock: many may read, one folds."""
    descriptor = os.open(home / "fold.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def _alive(path: Path) -> bool:
    """Tell whether the process of a file lives: it holds the file's lock."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _foreign(path: Path) -> bool:
    """Tell whether a file is of another version than this one's."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        head = file.read(len(MAGIC))
        return head != MAGIC and head[:_SERIAL] == MAGIC[:_SERIAL]
    return False


def _read(path: Path) -> Series:
    """Return the series of a file; only what is used of it is read."""
    found: Series = {}
    with suppress(FileNotFoundError), path.open("rb") as file:
        used = struct.unpack("<8xQ", file.read(16).ljust(16, b"\0"))[0]
        file.seek(0)
        content = file.read(min(used, os.fstat(file.fileno()).st_size))
        for entry in entries(content):
            with suppress(KeyError, TypeError, ValueError, struct.error):
                _pour(found, {_identity(entry.key): _value(entry, content)}, gauges=True)
    return found


def _identity(key: dict[str, Any]) -> tuple[str, Key]:
    values = key["values"]
    return key["name"], None if values is None else tuple(map(str, values))


def _value(entry: Entry, content: bytes) -> tuple[dict[str, Any], Value, float]:
    key, words = entry.key, content[entry.start : entry.end]
    if key["kind"] == "counter":
        whole, rest = struct.unpack_from("<Qd", words)
        return key, whole + rest if rest else whole, 0.0
    if key["kind"] == "gauge":
        value, moment = struct.unpack_from("<dd", words)
        return key, value, moment
    low, high = key["options"]["range"]
    return key, snapshot_from(words[: 8 * (8 + 32 * (high - low))], low, high), 0.0


def _pour(into: Series, other: Series, gauges: bool) -> None:
    """Add the series of one process to those of others."""
    for identity, (key, value, moment) in other.items():
        if key["kind"] == "gauge" and not gauges:
            continue
        if identity not in into:
            into[identity] = key, value, moment
            continue
        known, before, earlier = into[identity]
        if any(known[field] != key[field] for field in ("kind", "unit", "labels", "options")):
            raise ValueError(f"{key['name']} is a {known['kind']} in one process and another in a second one")
        how = key["options"].get("merge", "sum")
        newer = (before, value) if moment >= earlier else (value, before)
        into[identity] = known, COMBINED[how](*newer), max(moment, earlier)


def _snapshot(series: Series) -> RegistrySnapshot:
    samples: dict[str, dict[Key, Value]] = {}
    described: dict[str, dict[str, Any]] = {}
    for (name, values), (key, value, _) in series.items():
        samples.setdefault(name, {})[values] = value
        described.setdefault(name, key)
    return RegistrySnapshot(
        {
            name: FamilySnapshot(
                key["kind"],
                name,
                key["description"],
                key["unit"],
                tuple(key["labels"]),
                samples[name],
                key["options"],
            )
            for name, key in described.items()
        }
    )


# --- the archive ---------------------------------------------------------------------


def _read_archive(home: Path, put_aside: bool) -> tuple[Series, set[str]]:
    """Return what was folded in, and the names of the files that it came from last.

    An archive of another version, or one that is damaged, counts as none, and is put aside if one may.
    """
    from msgspec import MsgspecError, msgpack

    series: Series = {}
    try:
        stored = msgpack.decode((home / ARCHIVE).read_bytes())
        if stored.get("version", 1) != _VERSION:  # the first ones had no number
            raise ValueError("of another version")
        for key, value in stored["series"]:
            if isinstance(value, bytes):
                value = snapshot_from(value, *key["options"]["range"])
            series[_identity(key)] = key, value, 0.0
        return series, set(stored["files"])
    except FileNotFoundError:
        return {}, set()
    except (MsgspecError, AttributeError, KeyError, TypeError, ValueError) as error:
        if put_aside:
            (home / ARCHIVE).replace(home / f"{ARCHIVE}.refused")
            logger("metrics").warning("the archive in %s is put aside: %s", home, error)
        return {}, set()


def _write_archive(home: Path, series: Series, files: list[str]) -> None:
    """Replace the archive in one step; the names in it keep files from being folded twice."""
    from msgspec import msgpack

    stored = [(key, bytes(v) if isinstance(v, HistogramSnapshot) else v) for key, v, _ in series.values()]
    building = home / f"{ARCHIVE}.new"
    building.write_bytes(msgpack.encode({"version": _VERSION, "series": stored, "files": files}))
    building.replace(home / ARCHIVE)
