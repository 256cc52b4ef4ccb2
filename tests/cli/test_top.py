"""``perfcore top``: the live page in a terminal, once or again and again."""

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from perfcore import Cache, PerformanceManager
from perfcore.cli import main
from perfcore.cli.asking import ServerAt
from perfcore.errors import PerfcoreError
from perfcore.metrics import Registry, Timer
from perfcore.monitor import MetricsServer, PerformanceAlerting, Sources, ThresholdRule

TOKEN = "s3cret-token-0123456789"


@pytest.fixture
def run(monkeypatch, capsys):
    def top(*arguments, **environment):
        monkeypatch.delenv("PERFCORE_TOKEN", raising=False)
        for name, value in {"COLUMNS": "120", **environment}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["perfcore", "top", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return SimpleNamespace(returncode=ended.value.code, **capsys.readouterr()._asdict())

    return top


@pytest.fixture(scope="module")
def server():
    registry, cache = Registry(), Cache(100)
    timer = Timer("orders.load", registry=registry)
    alerts = PerformanceAlerting(
        [ThresholdRule(name="hot", metric="heat", threshold=1, message="too \x1b[31mhot [bold]")]
    )
    alerts.check_alerts({"heat": 5})

    def caches():
        cache["a"] = 1
        for key in "aaab":
            cache.get(key)
        timer.observe(0.25)
        return {"memory": cache}

    sources = Sources(
        caches=caches,
        registry=lambda: registry,
        alerts=lambda: alerts,
        health=lambda: {"disk": (False, "no room")},
    )
    with MetricsServer(sources, port=0, interval=0.1) as server:
        while len(ServerAt(server.url).live()[1]["history"]["numbers"]) < 3:
            time.sleep(0.02)
        yield server


def test_it_prints_once_where_there_is_no_terminal(server, run):
    done = run(server.url)
    assert (done.returncode, done.err) == (0, "")
    assert "\x1b" not in done.out  # neither colours nor what names smuggle in
    lines = {line.split()[0]: line for line in reversed(done.out.splitlines()) if line.split()}
    assert "1 failing" in lines["perfcore"] and f"{server.url}" in lines["perfcore"]
    assert "disk: no room" in lines["!"]
    assert re.search(r"75\.0%\s+▇+", lines["memory"])
    assert re.search(r"2[45]\d ms\s+2[45]\d ms\s+2[45]\d ms", lines["orders.load"])
    assert "firing" in lines["hot"] and r"too \x1b[31mhot [bold]" in lines["hot"]
    assert "adaptive" in done.out and "lirs" in done.out


def test_as_json_it_is_what_the_server_says(server, run):
    found = json.loads(run(server.url, "--json").out)
    assert found["schema"] == "perfcore.live/1" and found["caches"][0]["name"] == "memory"


@pytest.mark.parametrize("form", ["127.0.0.1:{port}", "http://localhost:{port}", "http://127.0.0.1:{port}/"])
def test_an_address_may_be_short(server, form):
    assert ServerAt(form.format(port=server.port)).live()[1]["schema"] == "perfcore.live/1"


@pytest.mark.parametrize(
    "url", ["ftp://a/", "http://", "http://u:secret@a/", "a:1/?token=secret", "a#b", "a:port"]
)
def test_what_is_no_address_is_called_wrongly(url, run):
    done = run(url)
    assert done.returncode == 2 and "URL" in done.err and "secret" not in done.err


def test_what_is_behind_a_manager_is_shown_with_its_token_and_not_without(run):
    with PerformanceManager() as manager:
        server = manager.serve(port=0, token=TOKEN)
        for options, environment in ([("--token", TOKEN), {}], [(), {"PERFCORE_TOKEN": TOKEN}]):
            assert "all parts serve" in run(server.url, *options, **environment).out
        for environment, reason in [
            ({}, "PERFCORE_TOKEN or --token"),
            ({"PERFCORE_TOKEN": "no"}, "not its token"),
        ]:
            done = run(server.url, **environment)
            assert done.returncode == 1 and reason in done.err and TOKEN not in done.err
        assert TOKEN not in run("--help", PERFCORE_TOKEN=TOKEN).out


def test_who_cannot_be_reached_is_named_with_the_reason(run):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    done = run(f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert done.err == f"perfcore: http://127.0.0.1:{port}/ cannot be reached: Connection refused\n"
    assert run("no-such-host.invalid:80", "--once").returncode == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-something\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<htm",
        b'HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{"schema":"another/1"}',
        b"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=repr,
)
def test_who_is_something_else_is_said_to_be(answer):
    with socket.create_server(("127.0.0.1", 0)) as other:

        def serve():
            client, _ = other.accept()
            with client:
                client.recv(4096)
                client.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(PerfcoreError, match=r"no perfcore server|answers 302|cannot be reached"):
            ServerAt(f"127.0.0.1:{other.getsockname()[1]}").live()
        thread.join(20)


def test_in_a_terminal_it_goes_on_until_it_is_interrupted(server):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "perfcore", "top", server.url, "-i", "0.1"],
        stdout=theirs,
        stderr=theirs,
        stdin=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "50"},
    )
    os.close(theirs)
    seen, end = b"", time.monotonic() + 30
    while seen.count(b"orders.load") < 3:  # drawn three times
        assert time.monotonic() < end and process.poll() is None, seen
        if select.select([ours], [], [], 1)[0]:
            seen += os.read(ours, 65536)
    process.send_signal(signal.SIGINT)
    try:
        while os.read(ours, 65536):
            pass
    except OSError:  # the other end is closed
        pass
    assert process.wait(30) == 0
    os.close(ours)
    assert b"\x1b[?1049h" in seen  # on a screen of its own
