"""``perfcore top``: a server's live page in a terminal."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

from rich.console import Console
from rich.live import Live

from perfcore.cli._extra import typer
from perfcore.cli.asking import ServerAt
from perfcore.cli.watching import view
from perfcore.errors import PerfcoreError

__all__ = ["top"]


def top(
    url: Annotated[
        str, typer.Argument(metavar="URL", help="Where a manager serves: http://host:port/ or host:port.")
    ],
    once: Annotated[bool, typer.Option("--once", help="Print what there is now, and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, and end.")] = False,
    interval: Annotated[
        float | None,
        typer.Option("--interval", "-i", min=0.1, help="Seconds between two looks; else the server's."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            envvar="PERFCORE_TOKEN",
            show_default=False,
            help="The server's token; others see arguments.",
        ),
    ] = None,
) -> None:
    """Show what a server's page shows, until Ctrl-C; once where the output is no terminal."""
    try:
        server = ServerAt(url, token)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="URL") from None
    body, live = server.live()
    console = Console()
    if as_json:
        sys.stdout.write(body.decode() + "\n")
    elif once or not console.is_terminal:
        console.print(view(live, server.name))
    else:
        _follow(server, live, interval, console)


def _follow(server: ServerAt, live: dict[str, Any], interval: float | None, console: Console) -> None:
    """Show it anew again and again; a server that is gone for a while is waited for."""
    problem = ""
    try:
        with Live(console=console, screen=True, auto_refresh=False) as screen:
            while True:
                screen.update(view(live, server.name, problem), refresh=True)
                time.sleep(interval or live["interval"])
                try:
                    _, live = server.live()
                    problem = ""
                except PerfcoreError:
                    problem = problem or f"no answer since {time.strftime('%H:%M:%S')}"
    except KeyboardInterrupt:  # how it is meant to end
        pass
