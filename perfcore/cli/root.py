"""The command tree, and how a command ends: by an exit code, Ctrl-C, or a reader that has seen enough."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, NoReturn

from perfcore._version import __version__
from perfcore.cli import alerts as alert_commands
from perfcore.cli import cache as cache_commands
from perfcore.cli import config as config_commands
from perfcore.cli import remote as remote_commands
from perfcore.cli import shells
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
#: What typer raises when a command is called wrongly; it has had two homes, and this is the way to both.
_Refusal: type[Exception] = typer.BadParameter.__mro__[2]

app = typer.Typer(name="perfcore", no_args_is_help=True, pretty_exceptions_enable=False)


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
            typer.echo(f"perfcore: {_said(error)}", err=True)
            raise typer.Exit(1) from None

    (group or app).command(function.__name__.rstrip("_"), help=_unwrapped(function.__doc__ or ""))(guarded)


def _said(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error)


def _unwrapped(docstring: str) -> str:
    """A docstring as paragraphs: where its lines end is the source's business and not the terminal's."""
    paragraphs = re.split(r"\n\s*\n", docstring.replace("``", ""))
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


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
    """The performance layer of a Python service: caches, parsing and measurements.

    Exits with 0 when all is well, 1 when something failed or was not found, 2 when called wrongly.
    """
    import logging

    # The library is silent; a person at a terminal wants to know that the cache could not be used.
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")


command(doctor)
command(parse)
command(simulate)
command(top)
command(dashboard)
for _name, _commands, _help in (
    (
        "cache",
        cache_commands.COMMANDS,
        "Look into a cache directory, or with --url redis://... into a remote cache, and keep it in order.",
    ),
    (_REMOTE, remote_commands.COMMANDS, "Look into a remote cache (--url) and keep it in order."),
    ("config", config_commands.COMMANDS, "Check a configuration, and say what it comes to."),
    ("alerts", alert_commands.COMMANDS, "Try rules before they are relied on."),
):
    _group = typer.Typer(no_args_is_help=True, help=_help)
    app.add_typer(_group, name=_name, hidden=_name == _REMOTE)
    for _function in _commands:
        command(_function, _group)


def run() -> NoReturn:
    """Run the command in ``sys.argv``; ends by :exc:`SystemExit`, a wrong call with one line and 2."""
    shells.direct(_REMOTE, {function.__name__ for function in remote_commands.COMMANDS})
    try:
        code = app(_directed(sys.argv[1:]), prog_name="perfcore", standalone_mode=False)
    except SystemExit:
        if "--install-completion" in sys.argv[1:]:
            shells.answer_the_first_key()
        raise
    except _Refusal as error:
        sys.exit(_refuse(error))
    except typer.Abort:
        sys.exit(INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _refuse(error: Any) -> int:
    context = error.ctx if getattr(error, "ctx", None) is not None else None
    path = "perfcore" if context is None else context.command_path.replace(_REMOTE, "cache")
    message = " ".join(error.format_message().split()).rstrip(".")
    if message and type(error).__name__ != "NoArgsIsHelpError":  # whose message is the help, as printed
        typer.echo(f"{path}: {message}; see {path} --help", err=True)
    return 2


def _directed(arguments: list[str]) -> list[str]:
    """``cache`` is two groups of commands: those with ``--url``, anywhere, are for servers."""
    first, rest = arguments[:1], arguments[1:]
    if first != ["cache"] or not remote_commands.concerns(rest):
        return arguments
    place = next(at for at, word in enumerate(rest) if word.partition("=")[0] == "--url")
    url = rest[place : place + (1 if "=" in rest[place] else 2)]
    return [_REMOTE, *rest[:place], *rest[place + len(url) :], *url]
