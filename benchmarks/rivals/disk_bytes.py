"""What becomes of the bytes of values on perfcore's disk tier, beside what zstd can do at most."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from statistics import fmean

import zstandard
from msgspec import msgpack

from benchmarks.rivals.disk_stores import Documents
from perfcore.cache import DiskCache
from perfcore.cache.codec.entry import key_of, unseal
from perfcore.cache.disk.transfer import entries
from perfcore.cache.disk.upkeep import vacuum

_HARDEST = 19


def anatomy(values: Documents) -> dict[str, float]:
    """Return for each stage from payloads to files the bytes it takes per byte of MessagePack."""
    folder = Path(tempfile.mkdtemp(prefix="perfcore-bench-"))
    raw = sum(len(msgpack.encode(value)) for value in values.values())
    try:
        with DiskCache(folder, maxbytes="8GB") as cache:
            for key, value in values.items():
                cache.set(key, value)
            cache.flush()
            sealed = list(entries(cache._store))
            payloads = sum(len(unseal(entry, key_of(entry))[6]) for entry in sealed)
            stats = cache.stats()
            vacuum(cache._store)
            vacuumed = cache.stats().file_bytes
    finally:
        shutil.rmtree(folder)
    stages = {
        "payloads": payloads,
        "entries": sum(map(len, sealed)),
        "pages": stats.bytes,
        "file": stats.file_bytes,
        "file after vacuum": vacuumed,
    }
    return {"floor": _floor(values), **{name: size / raw for name, size in stages.items()}}


def _floor(values: Documents) -> float:
    """What the highest level leaves of a payload, with a dictionary learnt from 1600 others."""
    packed: list[bytes | bytearray | memoryview] = [
        msgpack.encode(value) for value in list(values.values())[:2000]
    ]
    dictionary = zstandard.train_dictionary(110 << 10, packed[400:], level=_HARDEST)
    compressor = zstandard.ZstdCompressor(level=_HARDEST, dict_data=dictionary, write_dict_id=False)
    return fmean(len(compressor.compress(one)) / len(one) for one in packed[:400])
