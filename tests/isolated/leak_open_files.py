import os
import tempfile
from pathlib import Path

from flat import insist_flat

from perfcore._native.buffers import BufferPool
from perfcore._native.files import OpenFile
from perfcore.io import StreamCache

FOLDER = tempfile.TemporaryDirectory()
PATHS = [str(Path(FOLDER.name, str(number))) for number in range(20)]


def step():
    for path in PATHS:
        Path(path).write_bytes(os.urandom(20_000))
    with StreamCache(max_files=5, threshold=1) as streams:
        pool = BufferPool()
        for _ in range(20):
            for path in PATHS:
                streams.read(path)
                streams.read_range(path, 5, 30_000)
                streams.read_pooled(path, pool).release()
                streams.open(path).read(100)
            os.truncate(PATHS[0], 100)
            try:
                streams.read(f"{FOLDER.name}/{'x' * 200}")
            except FileNotFoundError:
                pass
    for path in (FOLDER.name, f"{FOLDER.name}/missing"):
        for _ in range(200):
            try:
                OpenFile(path)
            except (OSError, ValueError):
                pass


insist_flat(step)
