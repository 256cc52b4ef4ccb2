"""``perfcore cache --url URL``: looking into a remote cache, and keeping it in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Annotated, Any

from msgspec import json

from perfcore.cache import RemoteCache
from perfcore.cache.keys import encode_key
from perfcore.cache.remote.drive import ask, run
from perfcore.cache.remote.entries import Opened
from perfcore.cache.remote.looking import entries
from perfcore.cache.remote.slots import slot_of
from perfcore.cache.remote.wire import Ask
from perfcore.cli._extra import typer
from perfcore.cli.cache import (
    JSON_VERSION,
    AsJson,
    KeyText,
    KeyTexts,
    Literal,
    _fail,
    _key,
    _key_of,
    _print_json,
    _report,
)
from perfcore.cli.cache import _seconds_left as seconds_left
from perfcore.cli.completing import servers

__all__ = ["COMMANDS", "clear", "concerns", "get", "ls", "rm", "stats"]

_TIMEOUT = 5.0

Url = Annotated[
    str,
    typer.Option(
        "--url", help="redis://, rediss:// or unix://, with user and password.", autocompletion=servers
    ),
]
Prefix = Annotated[str, typer.Option("--prefix", help="The prefix of the cache's names.")]


def stats(url: Url, prefix: Prefix = "perfcore", as_json: AsJson = False) -> None:
    """Say how many entries there are, what they take, and how the servers do."""
    with _opened(url, prefix) as cache:
        count = size = 0
        for entry in entries(cache._store, _TIMEOUT):
            count, size = count + 1, size + len(entry)
        nodes = cache.stats().nodes
        problems = cache.problems()
    if as_json:
        servers = {name: {"serving": node.serving, "reason": node.reason} for name, node in nodes.items()}
        _print_json({"entries": count, "bytes": size, "servers": servers, "problems": problems})
        return
    print(f"entries  {count}")
    print(f"bytes    {size}")
    for name, node in sorted(nodes.items()):
        print(f"server   {name}  {'serving' if node.serving else node.reason}")
    for problem in problems:
        print(f"problem  {problem}")


def ls(
    url: Url,
    prefix: Prefix = "perfcore",
    as_json: AsJson = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="At most so many; 0: all.")] = 0,
) -> None:
    """List the keys, in no order: bytes stored, seconds left, and the key as a Python literal."""
    listed = []
    with _opened(url, prefix) as cache:
        for number, entry in enumerate(entries(cache._store, _TIMEOUT)):
            if limit and number >= limit:
                break
            key, left = _key_of(entry), seconds_left(entry)
            if as_json:
                listed.append({"key": key, "bytes": len(entry), "expires_in": left})
            else:
                print(f"{len(entry):>10} {'-' if left is None else f'{left:.0f}':>10}  {key}")
    if as_json:
        _print_json({"entries": listed})


def get(
    key: KeyText, url: Url, prefix: Prefix = "perfcore", literal: Literal = False, as_json: AsJson = False
) -> None:
    """Print the value of a key; exits with 1 if there is none.

    Nothing is executed, and nothing is removed: pickles and classes of the program's own are not shown.
    """
    wanted = encode_key(_key(key, literal))
    with _opened(url, prefix) as cache:
        opened = _shown(cache, wanted)
    if opened is None:
        _fail(f"no value for {key!r} that can be shown")
        return
    if not as_json:
        print(opened[0] if isinstance(opened[0], str) else repr(opened[0]))
        return
    try:
        print(json.encode({"version": JSON_VERSION, "value": opened[0]}).decode())
    except (TypeError, ValueError, OverflowError):
        print(json.encode({"version": JSON_VERSION, "repr": repr(opened[0])}).decode())


def rm(
    keys: KeyTexts, url: Url, prefix: Prefix = "perfcore", literal: Literal = False, as_json: AsJson = False
) -> None:
    """Remove keys; exits with 1 if none of them was there."""
    with _opened(url, prefix) as cache:
        removed = cache.delete_many([_key(key, literal) for key in keys])
    _report(as_json, removed=removed)
    if not removed:
        raise typer.Exit(1)


def clear(url: Url, prefix: Prefix = "perfcore", as_json: AsJson = False) -> None:
    """Remove everything below the prefix."""
    with _opened(url, prefix) as cache:
        removed = cache.delete_many(list(cache.keys()))
        cache.clear()
    _report(as_json, removed=removed)


COMMANDS: list[Callable[..., None]] = [stats, ls, get, rm, clear]


def concerns(arguments: list[str]) -> bool:
    """Say whether the arguments of ``perfcore cache`` are about a server and not about a directory."""
    return any(word == "--url" or word.startswith("--url=") for word in arguments)


@contextmanager
def _opened(url: str, prefix: str) -> Iterator[RemoteCache]:
    with RemoteCache(url, prefix=prefix, timeout=_TIMEOUT) as cache:
        found = cache.check()
        if "no server can be asked" in found:
            _fail("; ".join(found), 2)
        yield cache


def _shown(cache: RemoteCache, canonical: bytes) -> tuple[Any] | None:
    """The valid value of a key, looked at without removing what cannot be understood."""
    store, deadline = cache._store, monotonic() + _TIMEOUT
    epoch = run(store.router, store.learn(), deadline)
    if epoch is None:
        return None
    name = store.names.key(epoch, canonical)
    (data,) = ask(store.router, [Ask(slot_of(name), (b"GET", name), True)], deadline)
    opened = store.opened(canonical, name, data)
    if not isinstance(opened, Opened):
        return None
    if opened.mark and not run(store.router, store.valid([opened]), deadline)[0]:
        return None
    return (opened.value,)
