"""The command tree, and how a command ends: by an exit code, Ctrl-C, or a reader that has seen enough."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

from perfcore._version import __version__
from perfcore.cli import alerts as alert_commands
from perfcore.cli import cache as cache_commands
from perfcore.cli import config as config_commands
from perfcore.cli import remote as remote_commands
from perfcore.cli._extra import typer
from perfcore.cli.dashboard import dashboard
from perfcore.cli.doctor import doctor
from perfcore.cli.parse import parse
from perfcore.cli.simulate import simulate
from perfcore.cli.top import top
from perfcore.errors import MissingExtraError, PerfcoreError

__all__ = ["app", "run"]

#: What ``perfcore cache`` is called with ``--url``.
_REMOTE = "cache-on-a-server"
INTERRUPTED = 130  # as shells report a process that SIGINT has ended

app = typer.Typer(name="perfcore", add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


def command(function: Callable[..., None], group: typer.Typer | None = None) -> None:
    """Make ``function`` a command: its name, its signature as the options, its docstring as the help."""

    @wraps(function)
    def guarded(*args: Any, **options: Any) -> None:
        try:
            function(*args, **options)
            sys.stdout.flush()
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            _reader_left()
        except MissingExtraError:
            raise  # main() says how to get it
        except (PerfcoreError, OSError) as error:
            typer.echo(f"perfcore: {error}", err=True)
            raise typer.Exit(1) from None

    (group or app).command(function.__name__.rstrip("_"))(guarded)


def _reader_left() -> None:
    """``perfcore ... | head`` has what it wanted; the flush at exit must not complain either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _version(wanted: bool) -> None:
    if not wanted:
        return
    from perfcore._native.build import build_info

    typer.echo(f"perfcore {__version__}")
    for key, value in build_info().items():
        typer.echo(f"  {key:<10} {value if value != '' else '-'}")
    raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which build this is.")
    ] = False,
) -> None:
    """The performance layer of a Python service: caches, parsing and measurements."""
    import logging

    # The library is silent; a person at a terminal wants to know that the cache could not be used.
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")


command(dashboard)
command(parse)
command(simulate)
command(doctor)
command(top)
for _name, _commands, _help in (
    ("cache", cache_commands.COMMANDS, "Look into a cache directory and keep it in order."),
    (_REMOTE, remote_commands.COMMANDS, "Look into a remote cache (--url) and keep it in order."),
    ("config", config_commands.COMMANDS, "Check a configuration, and say what it comes to."),
    ("alerts", alert_commands.COMMANDS, "Try rules before they are relied on."),
):
    _group = typer.Typer(no_args_is_help=True, help=_help)
    app.add_typer(_group, name=_name, hidden=_name == _REMOTE)
    for _function in _commands:
        command(_function, _group)


def run() -> None:
    """Run the command in ``sys.argv``; ends by :exc:`SystemExit`."""
    app(_directed(sys.argv[1:]), prog_name="perfcore")


def _directed(arguments: list[str]) -> list[str]:
    """``cache`` is two groups of commands: those with ``--url``, anywhere, are for servers."""
    first, rest = arguments[:1], arguments[1:]
    if first != ["cache"] or not remote_commands.concerns(rest):
        return arguments
    place = next(at for at, word in enumerate(rest) if word.partition("=")[0] == "--url")
    url = rest[place : place + (1 if "=" in rest[place] else 2)]
    return [_REMOTE, *rest[:place], *rest[place + len(url) :], *url]
