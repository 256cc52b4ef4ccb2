"""Print the oldest versions of its dependencies that pyproject.toml promises to work with, for pip.

    python tools/oldest.py [EXTRA...] >requirements.txt

Only what it names itself; the newest of what that needs in turn is what pip would choose, too.
"""

import re
import sys
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[\w,-]+\])?>=(?P<least>[\w.]+)")


def requirements(extras: list[str]) -> list[str]:
    """Return what is required, also for these extras; an extra may name others, as ``perfcore[one,two]``."""
    found = list(PROJECT["dependencies"])
    for extra in extras:
        for requirement in PROJECT["optional-dependencies"][extra]:
            others = re.fullmatch(r"perfcore\[(.+)\]", requirement)
            found += requirements(others[1].split(",")) if others else [requirement]
    return sorted(set(found))


def oldest(requirement: str) -> str:
    """Return the constraint.

    >>> oldest("numpy>=1.26"), oldest("distributed>=2026.1.1,<=2026.8.0")
    ('numpy==1.26', 'distributed==2026.1.1')
    """
    bound = REQUIREMENT.match(requirement)
    assert bound, f"{requirement} has no lower bound"
    return f"{bound['name']}=={bound['least']}"


if __name__ == "__main__":
    print("\n".join(oldest(requirement) for requirement in requirements(sys.argv[1:]) if ">=" in requirement))
