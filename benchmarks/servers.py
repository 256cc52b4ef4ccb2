"""A Redis server of one's own, for benchmarks."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import valkey


@contextmanager
def server() -> Iterator[int]:
    """Run a server on a free port and yield the port; whatever it holds is gone afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        client = valkey.Valkey(port=port)
        while True:
            with suppress(valkey.ConnectionError):
                client.ping()
                break
            time.sleep(0.02)
        try:
            yield port
        finally:
            client.close()
            process.kill()
            process.wait()
