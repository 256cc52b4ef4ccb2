"""What a shell is told to complete: values, beside the commands and options that typer knows.

Nothing found leaves it to the shell, which completes the names of files and folders itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from perfcore._native.simulate import POLICIES

__all__ = ["cache_directories", "documents", "pictures", "policies", "servers", "settings"]

_PICTURES = (".png", ".svg", ".pdf")
#: where the packages of distributions have their servers listen, besides TCP
_SOCKETS = ("redis*/*.sock", "valkey*/*.sock")


def documents(*suffixes: str) -> Callable[[str], list[str]]:
    """Return what completes the names of files that end in one of ``suffixes``, and folders on the way."""

    def complete(incomplete: str) -> list[str]:
        head, slash, start = incomplete.rpartition("/")
        found = []
        for entry in _listed(Path(head or slash or ".")):
            if entry.name.startswith(start) and not (entry.name[:1] == "." and not start):
                if entry.is_dir():
                    found.append(f"{head}{slash}{entry.name}/")
                elif entry.name.endswith(suffixes):
                    found.append(f"{head}{slash}{entry.name}")
        return sorted(found) if any(name[-1] != "/" for name in found) else []

    return complete


def cache_directories(incomplete: str) -> list[str]:
    """Complete directories that hold a cache: below what is typed so far, and those of the user."""
    from platformdirs import user_cache_path

    typed = incomplete.rpartition("/")[0]
    around, own = Path(typed or ("/" if incomplete[:1] == "/" else ".")), user_cache_path("perfcore")
    found = {str(data.parent) for place in (around, own) for data in place.glob("*/data.mdb")}
    return sorted(name for name in found if name.startswith(incomplete))


def policies(incomplete: str) -> list[str]:
    """Complete the last of several policies that are separated by commas."""
    head, comma, start = incomplete.rpartition(",")
    return [
        f"{head}{comma}{name}" for name in POLICIES if name.startswith(start) and name not in head.split(",")
    ]


def servers(incomplete: str) -> list[str]:
    """Complete the address of a server: by the schemes that there are, and the sockets of this machine."""
    sockets = sorted(str(path) for glob in _SOCKETS for path in Path("/run").glob(glob))
    found = ["redis://localhost:6379", "rediss://localhost:6379", *(f"unix://{path}" for path in sockets)]
    return [url for url in found if url.startswith(incomplete)]


def settings(incomplete: str) -> list[str]:
    """Complete the dotted name of a setting, a section at a time."""
    from perfcore.config.fields import SETTINGS

    depth = incomplete.count(".") + 1
    found = {".".join(path.split(".")[:depth]) for path in SETTINGS if path.startswith(incomplete)}
    return sorted(name if name in SETTINGS else f"{name}." for name in found)


def pictures(incomplete: str) -> list[str]:
    """Complete the name of a picture that is to be drawn: by the formats that there are."""
    return (
        [incomplete + suffix for suffix in _PICTURES]
        if incomplete[-1:].isalnum() and "." not in incomplete
        else []
    )


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []
