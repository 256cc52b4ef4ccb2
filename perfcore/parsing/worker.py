"""A worker process: reads paths, answers results. Started by :mod:`perfcore.parsing.crew`, not for users.

It holds no cache and writes nothing: whatever kills it, nothing is lost but the file it was at.
"""

from __future__ import annotations

import gc
import os
import time

from msgspec.structs import replace

from perfcore.parsing.extract import extract
from perfcore.parsing.fingerprint import Fingerprint
from perfcore.parsing.options import Limits
from perfcore.parsing.reading import Skipped, read
from perfcore.parsing.result import ParseResult, skip
from perfcore.parsing.store import encode_result
from perfcore.parsing.wire import READY, Answer, decode_batch, encode_answer

__all__ = ["examine", "main"]


def examine(path: str, limits: Limits) -> tuple[Fingerprint | None, ParseResult]:
    """Read and parse the file at ``path``; never raises for what the file is."""
    started = time.perf_counter()
    try:
        content = read(path, limits.max_file_size, limits.piece_size)
        fingerprint, result = content.fingerprint, extract(content, limits.max_parse_time)
    except Skipped as skipped:
        fingerprint, result = skipped.fingerprint, skip("", skipped.reason, skipped.detail)
    return fingerprint, replace(result, parse_time=time.perf_counter() - started)


def main(descriptor: int, limits: Limits) -> None:
    """Answer batches of paths that arrive on the socket ``descriptor``, file by file, until it is closed."""
    from multiprocessing.connection import Connection

    limits = Limits(*limits)  # came as a plain tuple
    gc.set_threshold(50_000)  # nothing here makes cycles; looking for them took 2 % of the time
    with Connection(descriptor) as parent:
        try:
            parent.send_bytes(READY)
            while True:
                for path in decode_batch(parent.recv_bytes()):
                    fingerprint, result = examine(os.fsdecode(path), limits)
                    parent.send_bytes(encode_answer(Answer(fingerprint, encode_result(result))))
        except (EOFError, ConnectionError):  # the parent is done, or gone
            pass
