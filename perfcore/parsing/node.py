"""What a node of a cluster does for ``parse_many``: a batch of files in, an answer for each out.

A file is named as its caller saw it. When it is not here like that (another file system, another version) the
answer is None, and the caller sends its content instead.
"""

from __future__ import annotations

import os
import time
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct, msgpack
from msgspec.structs import replace

from perfcore.parsing.extract import extract
from perfcore.parsing.fingerprint import Fingerprint
from perfcore.parsing.options import Limits
from perfcore.parsing.reading import Content, Skipped, fingerprint, read
from perfcore.parsing.result import ParseResult, skip
from perfcore.parsing.shared import SharedResults
from perfcore.parsing.store import encode_result
from perfcore.parsing.wire import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Item", "Job", "parse_batch", "unpack_answers"]


class Item(Struct, frozen=True, array_like=True, gc=False):
    """One file of a batch: its path, size and modification time, what it hashes to if that is known; or,
    where ``raw`` is given, its content, whose language and hash are those here.
    """

    path: bytes
    size: int
    mtime_ns: int
    content_hash: str = ""
    language: str = ""
    raw: bytes | None = None


class Job(NamedTuple):
    """A batch as it is sent: encoded and compressed items, the limits, where results are shared."""

    items: bytes
    limits: Limits
    shared: str | tuple[str, ...] | None


_decode_items = msgpack.Decoder(list[Item]).decode
_encode_answers = msgpack.Encoder().encode
unpack_answers = msgpack.Decoder(list[Answer | None]).decode


def parse_batch(job: Job) -> bytes:
    """Return encoded answers to the items of ``job``, in their order."""
    import zstandard

    items = _decode_items(zstandard.ZstdDecompressor().decompress(job.items))
    shared = None if job.shared is None else _shared(job.shared)
    return _encode_answers(list(_answers(items, Limits(*job.limits), shared)))


@lru_cache(maxsize=4)
def _shared(where: str | tuple[str, ...]) -> SharedResults:
    """The remote tier, one connection for all batches of this process."""
    return SharedResults(where)


def _answers(items: list[Item], limits: Limits, shared: SharedResults | None) -> Iterator[Answer | None]:
    found = [_open(item, limits) for item in items]
    contents = [content for content in found if isinstance(content, Content)]
    known = shared.recall(contents) if shared is not None else {}
    fresh: list[tuple[str, str, bytes]] = []
    for content in found:
        if not isinstance(content, Content):
            yield content
            continue
        name = (content.language, content.content_hash)
        data = known.get(name)
        if data is not None:
            yield Answer(content.fingerprint, data, shared=True)
            continue
        result = _parse(content, limits)
        data = encode_result(result)
        if result.skipped is None:
            fresh.append((*name, data))
        yield Answer(content.fingerprint, data)
    if shared is not None:
        shared.remember(fresh)


def _parse(content: Content, limits: Limits) -> ParseResult:
    started = time.perf_counter()
    try:
        result = extract(content, limits.max_parse_time)
    except Skipped as skipped:
        result = skip("", skipped.reason, skipped.detail)
    return replace(result, parse_time=time.perf_counter() - started)


def _open(item: Item, limits: Limits) -> Content | Answer | None:
    """Return the content of a file, an answer that needs none, or None: it is not here as it was seen."""
    if item.raw is not None:
        return Content(item.raw, item.language, item.content_hash, None)
    path = os.fsdecode(item.path)
    try:
        if not _is_as_seen(fingerprint(path), item):
            return None
        content = read(path, limits.max_file_size, limits.piece_size)
    except Skipped as skipped:
        if skipped.reason in ("missing", "unreadable", "directory", "special-file", "loop", "changing"):
            return None
        return Answer(skipped.fingerprint, encode_result(skip("", skipped.reason, skipped.detail)))
    return content if item.content_hash in ("", content.content_hash) else None


def _is_as_seen(here: Fingerprint, item: Item) -> bool:
    return here.size == item.size and here.mtime_ns == item.mtime_ns
