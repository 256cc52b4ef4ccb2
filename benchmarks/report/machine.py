"""Where and with what the figures were taken."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from perfcore._native.build import build_info
from perfcore._version import __version__

#: what other extras install, and is measured or measured with
ALSO = (
    "distributed",
    "lmdb",
    "loky",
    "numpy",
    "opentelemetry-sdk",
    "prometheus-client",
    "valkey",
    "zstandard",
)


def machine() -> dict[str, str]:
    """Return what a reader needs to judge the figures; nothing that names a person or a place."""
    build = build_info()
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB",
        "system": f"{platform.system()} {platform.release().split('-')[0]}, {platform.libc_ver()[0]} "
        f"{platform.libc_ver()[1]}",
        "python": f"CPython {platform.python_version()}, {platform.python_compiler()}",
        "perfcore": f"{__version__}, {build['mode']} build by {build['compiler']}, Cython {build['cython']}",
        "hash seed": os.environ.get("PYTHONHASHSEED", "random"),
        "load before": f"{os.getloadavg()[0]:.1f} in the minute before",
    }


def _processor() -> str:
    try:
        info = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    name = re.search(r"^model name\s*: (.*)", info, re.MULTILINE)
    return f"{name[1] if name else platform.machine()}, {platform.machine()}"


def versions() -> dict[str, str]:
    """Return the versions of everything that is measured beside perfcore, as far as it is installed."""
    return dict(_versions(_rivals()))


def _rivals() -> list[str]:
    listed = (re.match(r"([\w.-]+).*extra == .bench.", line) for line in requires("perfcore") or ())
    return [*sorted({match[1] for match in listed if match} - {"perfcore", "pytest-benchmark"}), *ALSO]


def _versions(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    for name in names:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue
    yield "Python", sys.version.split()[0]
