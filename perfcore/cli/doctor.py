"""``perfcore doctor``: is everything in order here?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from perfcore.cli._extra import typer
from perfcore.doctor import examine

__all__ = ["doctor"]


def doctor(
    directory: Annotated[Path | None, typer.Option(help="The directory of a disk tier.")] = None,
    url: Annotated[str | None, typer.Option(help="A server: redis://, rediss:// or unix://.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Look at the build, its dependencies, the limits of this machine, a cache directory and a server.

    Exits with 1 when something has failed.
    """
    findings = []
    for finding in examine(directory, url):
        findings.append(finding)
        if not as_json:
            print(f"{finding.status:<8} {finding.name}: {finding.found}")
            if finding.advice:
                print(f"{'':8} {finding.advice}")
    if as_json:
        document = {"version": 1, "findings": [finding._asdict() for finding in findings]}
        print(msgspec.json.encode(document).decode())
    if any(finding.status == "failed" for finding in findings):
        raise typer.Exit(1)
