"""``perfcore cache``: looking into a cache directory, and keeping it in order."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from msgspec import json

from perfcore.cache import DiskCache, clock
from perfcore.cache.codec import Codec
from perfcore.cache.codec.entry import expiry_of, key_of
from perfcore.cache.disk.environment import DATA_FILE
from perfcore.cache.disk.transfer import entries, read_from, write_to
from perfcore.cache.keys import decode_key, encode_key
from perfcore.cli._extra import typer
from perfcore.cli.completing import cache_directories
from perfcore.errors import CodecError
from perfcore.units import format_size, parse_size

__all__ = ["COMMANDS", "clear", "export", "get", "import_", "ls", "rm", "stats", "vacuum", "verify"]

#: Raised when the shape of any ``--json`` output changes.
JSON_VERSION = 1
_BUDGET = 1 << 30

Directory = Annotated[
    Path,
    typer.Argument(
        metavar="DIRECTORY",
        help="The directory of a DiskCache. For a server: --url redis://... in its place.",
        autocompletion=cache_directories,
    ),
]
KeyText = Annotated[str, typer.Argument(metavar="KEY", help="A text, or with --literal any key.")]
KeyTexts = Annotated[list[str], typer.Argument(metavar="KEY...", help="Texts, or with --literal any keys.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Literal = Annotated[
    bool, typer.Option("--literal", "-l", help="KEY is a Python literal, as ls prints them: \"('user', 1)\".")
]
Secret = Annotated[
    Path | None, typer.Option("--secret-file", help="A file with the secret that signs the entries.")
]


def stats(directory: Directory, as_json: AsJson = False) -> None:
    """Say how many entries there are and what they take."""
    with _opened(directory) as cache:
        found = cache.stats()
        figures = {"entries": found.entries, "bytes": found.bytes, "file_bytes": found.file_bytes}
    if as_json:
        _print_json(figures)
    else:
        print(f"entries  {found.entries}")
        print(f"pages    {format_size(found.bytes)}")
        print(f"file     {format_size(found.file_bytes)}")


def ls(
    directory: Directory,
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="At most so many; 0: all.")] = 0,
) -> None:
    """List the keys, longest stored first: bytes stored, seconds left, and the key as a Python literal."""
    listed = []
    with _opened(directory) as cache:
        for number, entry in enumerate(entries(cache._store)):
            if limit and number >= limit:
                break
            key, left = _key_of(entry), _seconds_left(entry)
            if as_json:
                listed.append({"key": key, "bytes": len(entry), "expires_in": left})
            else:
                print(f"{len(entry):>10} {'-' if left is None else f'{left:.0f}':>10}  {key}")
    if as_json:
        _print_json({"entries": listed})


def get(directory: Directory, key: KeyText, literal: Literal = False, as_json: AsJson = False) -> None:
    """Print the value of a key; exits with 1 if there is none.

    Nothing is executed: pickles and classes of the program's own are not shown.
    """
    missing = object()
    with _opened(directory) as cache:
        value = cache.peek(_key(key, literal), missing)
    if value is missing:
        _fail(f"no value for {key!r} that can be shown")
    if not as_json:
        print(value if isinstance(value, str) else repr(value))
        return
    try:
        document = json.encode({"version": JSON_VERSION, "value": value}).decode()
    except (TypeError, ValueError, OverflowError):
        document = json.encode({"version": JSON_VERSION, "repr": repr(value)}).decode()
    print(document)


def rm(directory: Directory, keys: KeyTexts, literal: Literal = False, as_json: AsJson = False) -> None:
    """Remove keys; exits with 1 if none of them was there."""
    with _opened(directory) as cache:
        removed = cache.delete_many([_key(key, literal) for key in keys])
    _report(as_json, removed=removed)
    if not removed:
        raise typer.Exit(1)


def clear(directory: Directory, as_json: AsJson = False) -> None:
    """Remove everything."""
    with _opened(directory) as cache:
        removed = len(cache)
        cache.clear()
    _report(as_json, removed=removed)


def verify(directory: Directory, secret_file: Secret = None, as_json: AsJson = False) -> None:
    """Check the file and each entry, and remove what is damaged; exits with 1 if anything was."""
    codec = _codec(secret_file)
    with _opened(directory, codec) as cache:
        put_aside = cache.stats().entries == 0 and (directory / f"{DATA_FILE}.damaged").exists()
        found = cache.verify()
    _report(as_json, entries=found.entries, removed=found.removed, structure=found.structure)
    if found.removed or found.structure or put_aside:
        raise typer.Exit(1)


def vacuum(directory: Directory, as_json: AsJson = False) -> None:
    """Write the file anew without free pages, unless another process has it open."""
    with _opened(directory) as cache:
        saved = cache.vacuum()
    _report(as_json, saved=saved)


def export(
    directory: Directory,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write; - for standard output.")],
    secret_file: Secret = None,
    as_json: AsJson = False,
) -> None:
    """Write all entries to one portable file."""
    with _opened(directory) as cache:
        secret = _codec(secret_file).secret
        if str(file) == "-":
            write_to(cache._store, sys.stdout.buffer, secret)
            return
        with file.open("wb") as stream:
            done = write_to(cache._store, stream, secret)
    _report(as_json, entries=done.entries, skipped=done.skipped)


def import_(
    directory: Directory,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What export wrote; - for standard input.")],
    maxbytes: Annotated[str, typer.Option(help="The budget of a new directory.")] = "1GB",
    secret_file: Secret = None,
    as_json: AsJson = False,
) -> None:
    """Store the entries of an exported file, in place of those with the same keys."""
    directory.mkdir(parents=True, exist_ok=True)
    codec = _codec(secret_file)
    with _opened(directory, codec, parse_size(maxbytes)) as cache:
        try:
            if str(file) == "-":
                done = read_from(cache._store, sys.stdin.buffer, "adaptive", codec.secret)
            else:
                with file.open("rb") as stream:
                    done = read_from(cache._store, stream, "adaptive", codec.secret)
        except CodecError as error:
            _fail(f"{file}: {error}")
    _report(as_json, entries=done.entries, skipped=done.skipped)


COMMANDS: list[Callable[..., None]] = [stats, ls, get, rm, clear, verify, vacuum, export, import_]


@contextmanager
def _opened(directory: Path, codec: Codec | None = None, budget: int = _BUDGET) -> Iterator[DiskCache]:
    """The cache in ``directory``, with a budget that makes nobody's entries go."""
    if not directory.is_dir():
        _fail(f"{directory} is not a directory", 2)
    data = directory / DATA_FILE
    held = data.stat().st_size if data.exists() else 0
    with DiskCache(directory, maxbytes=max(budget, held), codec=codec) as cache:
        yield cache


def _key(text: str, literal: bool) -> Any:
    if not literal:
        return text
    try:
        key = ast.literal_eval(text)
        encode_key(key)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise typer.BadParameter(f"{text!r} is not a key: {error}", param_hint="KEY") from None
    return key


def _key_of(entry: bytes) -> str:
    try:
        return repr(decode_key(key_of(entry)))
    except CodecError:
        return "(damaged)"


def _seconds_left(entry: bytes) -> float | None:
    expiry = expiry_of(entry)
    return (expiry * 1000 - clock.now_us()) / 1e6 if expiry else None


def _codec(secret_file: Path | None) -> Codec:
    try:
        return Codec(secret=None if secret_file is None else secret_file.read_bytes().strip())
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error), param_hint="--secret-file") from None


def _report(as_json: bool, **figures: Any) -> None:
    if as_json:
        _print_json(figures)
    else:
        print(", ".join(f"{name} {value}" for name, value in figures.items() if value is not None))


def _print_json(figures: dict[str, Any]) -> None:
    print(json.encode({"version": JSON_VERSION, **figures}).decode())


def _fail(message: str, code: int = 1) -> None:
    print(f"perfcore: {message}", file=sys.stderr)
    raise typer.Exit(code)
