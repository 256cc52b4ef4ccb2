"""Reads one file: whatever the path turns out to be, it ends with the content or a named reason."""

# os: paths are plain strings on the way of a hit.
# ruff: noqa: PTH116, PTH122
from __future__ import annotations

import errno
import os
import stat as modes
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import NamedTuple

from perfcore.parsing.encoding import has_wide_bom
from perfcore.parsing.fingerprint import Fingerprint, is_settled
from perfcore.parsing.languages import detect
from perfcore.parsing.result import SkipReason

__all__ = ["Content", "Skipped", "content_hash", "faults", "fingerprint", "read"]

#: Where git, too, looks for a NUL byte to tell binary from text.
_HEAD = 8000
_ATTEMPTS = 3
# O_NONBLOCK: a FIFO that takes a file's place between stat and open must not hang the run.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

_ERRNO_REASONS: dict[int, SkipReason] = {
    errno.ENOENT: "missing",
    errno.ENOTDIR: "missing",
    errno.ELOOP: "loop",
    errno.EISDIR: "directory",
    errno.ENXIO: "special-file",
}


class Skipped(Exception):  # noqa: N818 (an outcome of this room, seen by nobody outside)
    """A file that will not be parsed: a reason from ``SkipReason``, and what was found."""

    def __init__(self, reason: SkipReason, detail: str = "", seen: Fingerprint | None = None) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        #: set when the content alone decided, so that the file need not be looked at again until it changes
        self.fingerprint = seen


class Content(NamedTuple):
    """A file's bytes with what identifies them."""

    raw: bytes
    language: str
    content_hash: str
    fingerprint: Fingerprint | None  #: None while the file is too young to be known by it


@contextmanager
def faults() -> Iterator[None]:
    """Turn what the operating system says about a path into :class:`Skipped`."""
    try:
        yield
    except OSError as error:
        reason = _ERRNO_REASONS.get(error.errno or 0, "unreadable")
        raise Skipped(reason, error.strerror or type(error).__name__) from None
    except ValueError:  # an embedded NUL: no file can be called that
        raise Skipped("missing", "not a possible path") from None


def fingerprint(path: str) -> Fingerprint:
    """Return the fingerprint of the regular file at ``path``; raises :class:`Skipped` for anything else."""
    with faults():
        found = os.stat(path)
    _require_regular(found)
    return Fingerprint.of(found)


def read(path: str, max_size: int, piece_size: int | None) -> Content:
    """Return the content of the file at ``path``, read in pieces of ``piece_size`` bytes (None: in one).

    The content belongs to one state of the file: when it changed meanwhile it is read again, at most three
    times. Raises :class:`Skipped`.
    """
    for _ in range(_ATTEMPTS):
        content = _read_once(path, max_size, piece_size)
        if content is not None:
            return content
    raise Skipped("changing", f"changed during each of {_ATTEMPTS} reads")


def content_hash(raw: bytes) -> str:
    """Return the name by which identical contents are recognised: SHA-256, hexadecimal.

    Most CPUs have instructions for it: 20 µs for 17 KB, where BLAKE2b takes 50.
    """
    return sha256(raw).hexdigest()


def _read_once(path: str, max_size: int, piece_size: int | None) -> Content | None:
    started = time.time_ns()
    with faults():
        descriptor = os.open(path, _FLAGS)
        try:
            before = os.fstat(descriptor)
            _require_regular(before)
            head = os.read(descriptor, max(piece_size or 0, _HEAD))
            seen = Fingerprint.of(before)
            settled = seen if is_settled(seen, started) else None
            language = _language(path, head, settled)
            digest, raw = _read_rest(descriptor, head, before.st_size, max_size, piece_size)
            unchanged = Fingerprint.of(os.fstat(descriptor)) == seen
        finally:
            os.close(descriptor)
    return Content(raw, language, digest, settled) if unchanged else None


def _require_regular(found: os.stat_result) -> None:
    if modes.S_ISDIR(found.st_mode):
        raise Skipped("directory")
    if not modes.S_ISREG(found.st_mode):
        raise Skipped("special-file", modes.filemode(found.st_mode)[0])


def _language(path: str, head: bytes, settled: Fingerprint | None) -> str:
    if b"\0" in head[:_HEAD] and not has_wide_bom(head):
        raise Skipped("binary", "NUL byte", settled)
    language = detect(path, head)
    if language is None:
        raise Skipped("unknown-language", os.path.splitext(path)[1], settled)
    return language


def _read_rest(
    descriptor: int, head: bytes, expected: int, max_size: int, piece_size: int | None
) -> tuple[str, bytes]:
    """Return hash and bytes of the file whose first piece is ``head``, hashing each piece while it is in the
    cache.

    The size that was announced is not trusted: a file may grow, and those in /proc announce nothing.
    """
    digest, pieces, total = sha256(), [], 0
    piece = head
    while piece:
        digest.update(piece)
        pieces.append(piece)
        total += len(piece)
        if max(total, expected) > max_size:
            raise Skipped("too-large", f"{max(total, expected)} bytes, more than {max_size}")
        if 0 < expected <= total:
            break
        piece = os.read(descriptor, piece_size or max(expected - total, _HEAD))
    return digest.hexdigest(), b"".join(pieces)
