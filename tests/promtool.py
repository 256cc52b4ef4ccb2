"""Prometheus' own tools, from Debian's package: what they accept is what a Prometheus accepts."""

import http.server
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager

import pytest

PATIENCE = 30.0


def need_prometheus():
    """Skip where it is not installed, but fail where it must be."""
    if shutil.which("promtool") and shutil.which("prometheus"):
        return
    reason = "promtool is missing: tools/debian-packages installs it (make promtool)"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def promtool(*arguments, given=None):
    """Run promtool; return its output, and fail the test when it complains."""
    done = subprocess.run(["promtool", *map(str, arguments)], input=given, capture_output=True)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return (done.stdout + done.stderr).decode()


class Endpoint:
    """An endpoint that is scraped: answers with what ``body()`` returns at that moment."""

    def __init__(self, body, content_type):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                accepted.append(self.headers["Accept"])
                data = body()
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args): ...

        self.accepted = accepted = []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def scraping(folder, port):
    """A Prometheus that scrapes ``port`` each 200 ms; yields what asks it: ``query(expression)``."""
    config = folder / "prometheus.json"  # JSON is YAML
    job = {"job_name": "shop", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
    config.write_text(
        json.dumps(
            {"global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"}, "scrape_configs": [job]}
        )
    )
    own = free_port()
    options = {
        "config.file": config,
        "storage.tsdb.path": folder / "data",
        "web.listen-address": f"127.0.0.1:{own}",
        "enable-feature": "native-histograms",
        "log.level": "error",
    }
    command = ["prometheus", *(f"--{name}={value}" for name, value in options.items())]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def query(expression):
        asked = urllib.parse.urlencode({"query": expression})
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{own}/api/v1/query?{asked}") as answer:
                    found = json.load(answer)["data"]["result"]
                if found:
                    return [float(entry["value"][1]) for entry in found]
            except OSError:
                pass
            assert server.poll() is None, "Prometheus has ended"
            assert time.monotonic() < end, f"nothing was found for {expression}"
            time.sleep(0.1)

    try:
        yield query
    finally:
        server.terminate()
        server.wait(PATIENCE)
