"""The server stands whatever is sent to it: nonsense, half a request, too much, too slowly, too often."""

import json
import logging
import random
import select
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
from itertools import cycle

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw_http import Client, ask, send

from perfcore.metrics import Counter, Registry
from perfcore.monitor import MetricsServer, Sources
from perfcore.monitor.serve.connection import Patience
from perfcore.monitor.serve.request import Refused, take


@pytest.fixture(scope="module")
def server():
    with MetricsServer(Sources(), port=0) as server:
        yield server


@pytest.fixture
def hasty():
    """A server that has four places and no patience."""
    patience = Patience(request=0.4, idle=0.6, answer=0.4, written=0.4, farewell=0.3)
    with MetricsServer(Sources(), port=0, connections=4, patience=patience) as server:
        yield server


HOST = "Host: localhost\r\n"

NO_REQUESTS = [
    "GET / HTTP/1.1\r\n\r\n",  # no host
    f"GET / HTTP/1.1\r\n{HOST}{HOST}\r\n",
    f"GET  / HTTP/1.1\r\n{HOST}\r\n",
    f"GET / HTTP/1.1 \r\n{HOST}\r\n",
    f" GET / HTTP/1.1\r\n{HOST}\r\n",
    f"GET /\x00 HTTP/1.1\r\n{HOST}\r\n",
    f"GET /\x7f HTTP/1.1\r\n{HOST}\r\n",
    f"GET /é HTTP/1.1\r\n{HOST}\r\n",
    f"GET / HTTP/11\r\n{HOST}\r\n",
    f"GET / http/1.1\r\n{HOST}\r\n",
    f"GET /\r\n{HOST}\r\n",
    "GET /\r\n\r\n",  # HTTP/0.9
    f"G(T / HTTP/1.1\r\n{HOST}\r\n",
    f"GET / HTTP/1.1\r\n{HOST}: no name\r\n\r\n",
    f"GET / HTTP/1.1\r\n{HOST}A b: c\r\n\r\n",
    f"GET / HTTP/1.1\r\n{HOST}A : c\r\n\r\n",
    f"GET / HTTP/1.1\r\n{HOST}A: b\r\n c\r\n\r\n",  # folded
    f"GET / HTTP/1.1\r\n Host: localhost\r\n{HOST}\r\n",
    f"GET / HTTP/1.1\r\n{HOST}A: b\rc\r\n\r\n",
    f"GET / HTTP/1.1\r\n{HOST}A: b\nB: c\r\n\r\n",
    f"GET / HTTP/1.1\n{HOST}\r\n\r\n",
    f"GET / HTTP/1.1\r\n{HOST}A: \x00\r\n\r\n",
    f"GET / HTTP/1.1\r\n{HOST}no colon\r\n\r\n",
    f"GET / HTTP/1.1\r\n{HOST}Content-Length: -1\r\n\r\n",
    f"GET / HTTP/1.1\r\n{HOST}Content-Length: 1e3\r\n\r\n",
    f"GET / HTTP/1.1\r\n{HOST}Content-Length: \xb2\r\n\r\n",  # a digit to Python
    f"GET / HTTP/1.1\r\n{HOST}Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    f"GET / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n",
    f"GET / HTTP/1.1\r\n{HOST}Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
    f"GET http:/// HTTP/1.1\r\n{HOST}\r\n",
    f"GET https://localhost/ HTTP/1.1\r\n{HOST}\r\n",
    f"GET healthz HTTP/1.1\r\n{HOST}\r\n",
    f"GET /#part HTTP/1.1\r\n{HOST}\r\n",
    f"OPTIONS * HTTP/1.1\r\n{HOST}\r\n",
    f"CONNECT localhost:80 HTTP/1.1\r\n{HOST}\r\n",
    "\x16\x03\x01\x02\x00\x01\x00",  # TLS
    "\x00",
    "\r\r\n",
    "*1\r\n$4\r\nPING\r\n",  # of another protocol
]


@pytest.mark.parametrize("text", NO_REQUESTS, ids=repr)
def test_what_is_no_request_is_told_so_and_ends_the_connection(server, text):
    answer = send(server, text)
    assert answer.status == 400
    assert "localhost" not in answer.body.decode()  # nothing of what was sent comes back


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (413, f"POST / HTTP/1.1\r\n{HOST}Content-Length: 5\r\n\r\nhello"),
        (413, f"GET / HTTP/1.1\r\n{HOST}Content-Length: 99999999999999999999\r\n\r\n"),
        (414, f"GET /{'a' * 5000} HTTP/1.1\r\n{HOST}\r\n"),
        (414, "GET /" + "a" * 5000),
        (431, f"GET / HTTP/1.1\r\n{HOST}A: {'b' * 20_000}\r\n\r\n"),
        (431, f"GET / HTTP/1.1\r\n{HOST}A: {'b' * 20_000}"),
        (431, f"GET / HTTP/1.1\r\n{HOST}" + "A: b\r\n" * 65 + "\r\n"),
        (505, f"GET / HTTP/2.0\r\n{HOST}\r\n"),
        (505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ],
)
def test_too_much_and_too_new_are_told_apart(server, status, text):
    assert send(server, text).status == status


def test_a_head_of_megabytes_is_not_read_and_its_sender_is_still_told(server):
    with Client(server) as client:
        try:
            client.send(f"GET / HTTP/1.1\r\n{HOST}A: " + "b" * 150_000)
        except ConnectionError:
            pass
        assert client.answer().status == 431


def test_spaces_without_end_take_no_time_without_end(server):
    begun = time.process_time()
    for _ in range(50):
        assert send(server, f"GET / HTTP/1.1\r\n{HOST}A:{' ' * 16_000}\x00\r\n\r\n").status == 400
    assert time.process_time() - begun < 10  # backtracking would take minutes


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "//healthz",
        "/./healthz",
        "/%2e%2e/healthz",
        "/healthz/",
        "/healthz%00",
        "/healthz;a",
        "/HEALTHZ",
        "/assets/page.js",
        "/page.html",
        "/%68ealthz",
        "/\\healthz",
        "/favicon.ico",
        "/healthz.json",
    ],
)
def test_a_path_is_one_of_those_there_are_to_the_letter(server, path):
    answer = ask(server, path)
    assert answer.status == 404 and path not in answer.body.decode()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "WHATEVER"])
def test_only_what_changes_nothing_can_be_done(server, method):
    answer = ask(server, "/healthz", method=method)
    assert answer.status == 405 and answer.fields["allow"] == "GET, HEAD"


@given(text=st.binary(max_size=300))
def test_whatever_comes_is_answered_as_a_client_would_expect_or_not_at_all(server, text):
    with Client(server) as client:
        client.send(text).socket.shutdown(socket.SHUT_WR)
        said = b""
        while got := client.socket.recv(65536):
            said += got
    assert said == b"" or said.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5", b"HTTP/1.1 200"))
    assert ask(server).status == 200


_PIECES = st.sampled_from(
    b"GET|HEAD| |/|/a?b|HTTP/1.1|HTTP/1.0|\r\n|\r\n|\n|Host: a|Host:b|A: b|A : b| folded|\t|\x00|"
    b"Content-Length: 0|Connection: close".split(b"|")
)


@given(pieces=st.lists(_PIECES, max_size=14).map(b"".join))
def test_what_is_taken_for_a_request_is_one_to_another_library_too(pieces):
    for text in (
        pieces,
        b"GET / HTTP/1.1\r\n" + pieces + b"\r\n\r\n",
        b"GET /" + pieces + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    ):
        try:
            ours = take(bytearray(text))
        except Refused:
            continue
        if ours is None:
            continue
        theirs = h11.Connection(h11.SERVER)
        theirs.receive_data(text.lstrip(b"\r\n") if text.startswith(b"\r\n") else text)
        event = theirs.next_event()
        assert isinstance(event, h11.Request)
        assert event.method.decode() == ours.method
        assert event.target.decode() == ours.path + (f"?{ours.query}" if "?" in event.target.decode() else "")
        assert dict(event.headers).get(b"host", b"").decode() == ours.fields.get("host", "")


# --- slow, too many, gone -----------------------------------------------------------------------------------


def test_one_who_drips_a_request_is_told_to_go_and_holds_up_nobody(hasty):
    with Client(hasty) as slow:
        slow.send(f"GET / HTTP/1.1\r\n{HOST}")
        begun = time.monotonic()
        for byte in cycle("A: b\r\n"):
            slow.send(byte)
            assert ask(hasty).status == 200
            if select.select([slow.socket], [], [], 0.02)[0]:
                break
            assert time.monotonic() - begun < 10, "it may go on for ever"
        assert slow.answer().status == 408
    assert hasty.stats().too_slow == 1


def test_after_a_farewell_it_listens_a_little_so_that_no_reset_overtakes_the_answer(hasty):
    with Client(hasty) as client:
        client.send(b"nonsense\r\n\r\n" + b"x" * 50_000)
        assert client.answer().status == 400 and client.ended()
        for _ in range(3):
            client.send(b"x")  # a socket that is closed would answer the first with a reset
            time.sleep(0.02)


@pytest.mark.parametrize(
    ("farewell", "bytes_each", "seconds_each"), [(60.0, 10_000, 0.0), (0.2, 1, 0.02)], ids=["much", "long"]
)
def test_who_does_not_stop_after_a_farewell_is_not_listened_to_for_long(farewell, bytes_each, seconds_each):
    with (
        MetricsServer(Sources(), port=0, patience=Patience(farewell=farewell)) as server,
        Client(server) as client,
    ):
        client.send(b"nonsense\r\n\r\n")
        begun = time.monotonic()
        with pytest.raises(ConnectionError):
            while time.monotonic() - begun < 10:
                client.send(b"x" * bytes_each)
                time.sleep(seconds_each)


def test_one_who_says_nothing_is_left_without_a_word(hasty):
    with Client(hasty) as silent:
        assert silent.ended()


def test_too_many_are_told_so_and_later_there_is_room_again(hasty):
    waiting = [Client(hasty).send("GET / HT") for _ in range(4)]
    with Client(hasty) as late:
        answer = late.answer()
        assert answer.status == 503 and answer.fields["retry-after"] == "1"
        assert late.ended()
    for client in waiting:
        with client:
            assert client.answer().status == 408
    assert ask(hasty).status == 200
    assert hasty.stats().turned_away >= 1


def test_a_flood_is_turned_away_with_bounded_means(hasty):
    crowd = []
    for _ in range(100):
        crowd.append(Client(hasty).send("GET / HT"))
        assert hasty.stats().open <= 4 + 16
    for client in crowd:
        client.socket.close()
    wait_for(lambda: ask(hasty).status == 200)


def test_who_only_keeps_a_connection_makes_room_for_who_asks(hasty):
    keepers = [Client(hasty) for _ in range(4)]
    assert {keeper.get().status for keeper in keepers} == {200}
    assert ask(hasty).status == 200
    assert keepers[0].ended()  # the one that had been idle for longest
    assert keepers[3].get().status == 200
    for keeper in keepers:
        keeper.socket.close()


def big_registry(count=10_000):
    registry = Registry(max_series=count)
    requests = Counter("requests", labels=["path"], registry=registry)
    for number in range(count):
        requests.labels(f"/{'long' * 20}/{number}").inc()
    return registry


def test_one_who_does_not_read_is_given_up_and_holds_up_nobody():
    registry = big_registry()
    with (
        MetricsServer(Sources(registry=lambda: registry), port=0, patience=Patience(written=0.5)) as server,
        Client(server, buffer=4096) as lazy,
    ):
        lazy.send(f"GET /metrics HTTP/1.1\r\n{HOST}\r\n")
        deadline = time.monotonic() + 20
        while not server.stats().too_slow:
            assert ask(server).status == 200
            assert time.monotonic() < deadline
        assert ask(server, "/metrics").body.count(b"requests_total{") == 10_000


def test_clients_that_vanish_at_any_moment_leave_nothing_behind(hasty):
    choice = random.Random(7)
    for _ in range(100):
        with Client(hasty) as client:
            text = f"GET /metrics HTTP/1.1\r\n{HOST}\r\n"
            client.send(text[: choice.randrange(1, len(text) + 1)])
            if choice.random() < 0.5:  # a reset instead of a farewell
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_for(lambda: ask(hasty).status == 200)
    wait_for(lambda: not hasty.stats().open)


def test_many_at_once_all_get_their_own_answers():
    failures = []
    with MetricsServer(Sources(), port=0) as server:

        def work(number):
            with Client(server) as client:
                for turn in range(30):
                    path = ("/healthz", "/live.json", "/metrics", "/nothing")[(number + turn) % 4]
                    answer = client.get(path)
                    wanted = {
                        "/healthz": b'{"status"',
                        "/live.json": b'{"schema"',
                        "/nothing": b"there is no",
                    }
                    if not answer.body.startswith(wanted.get(path, b"")) or answer.status not in (200, 404):
                        failures.append((path, answer))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert failures == []


FLOOD = """
    import socket, sys, threading
    request = f"GET {sys.argv[2]} HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n".encode() * 20

    def ask():
        with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as client:
            send = lambda: [client.sendall(request) for _ in range(10**6)]
            threading.Thread(target=send, daemon=True).start()
            while client.recv(65536):
                pass

    for _ in range(4):
        threading.Thread(target=ask, daemon=True).start()
    sys.stdin.read()
"""


@pytest.mark.parametrize("path", ["/healthz", "/metrics"])
def test_those_who_ask_without_end_take_a_quarter_of_a_core_and_no_more(path):
    with MetricsServer(Sources(), port=0, interval=3600, history=3600) as server:
        command = [sys.executable, "-c", textwrap.dedent(FLOOD), str(server.port), path]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as flood:
            try:
                wait_for(lambda: server.stats().answers.get(200, 0) > 100)
                begun, used = time.monotonic(), time.process_time()
                time.sleep(1.5)
                share = (time.process_time() - used) / (time.monotonic() - begun)
                assert share < 0.65  # a quarter for each of two threads, and something for this one
                assert ask(server).status == 200
            finally:
                flood.kill()


def test_without_descriptors_it_waits_for_better_times():
    script = """
        import os, resource, socket, time
        from perfcore.monitor import MetricsServer, Sources

        REQUEST = b"GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n"
        # one look, which is over before the descriptors are: it opens files, too
        with MetricsServer(Sources(), port=0, interval=3600, history=3600) as server:
            while not server._watch.latest:
                time.sleep(0.01)
            address = ("127.0.0.1", server.port)
            before = socket.create_connection(address)
            before.sendall(REQUEST)
            assert before.recv(9999).endswith(b"}")
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
            taken = []
            try:
                while True:
                    taken.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                os.close(taken.pop())
            late = socket.create_connection(address)  # the last descriptor: the server has none for it
            late.settimeout(20)
            used = time.process_time()
            time.sleep(1.0)
            assert time.process_time() - used < 0.5, "it spins"
            before.sendall(REQUEST)  # who was in before is served
            assert before.recv(9999).startswith(b"HTTP/1.1 200")
            for one in taken:
                os.close(one)
            late.sendall(REQUEST)
            assert late.recv(9999).startswith(b"HTTP/1.1 200")
            print("served")
    """
    run_alone(script, "served")


def run_alone(script, expected):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.strip(), done.stderr, done.returncode) == (expected, "", 0)


# --- names and tokens ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        "10.0.0.1",
        "[::2]",
        "user@localhost",
        "localhost evil",
        "0.0.0.0",
        "[::ffff:8.8.8.8]",
        "127.0.0.1:80:80",
    ],
)
def test_a_page_elsewhere_cannot_pretend_to_be_of_this_machine(server, host):
    for path in ("/", "/live.json", "/nothing"):
        with Client(server) as client:
            answer = client.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").answer()
        assert answer.status == 421 and "schema" not in answer.body.decode()
    with Client(server) as client:
        line = f"GET http://{host or 'evil'}/live.json HTTP/1.1\r\n{HOST}\r\n".replace(
            "localhost evil", "evil"
        )
        assert client.send(line).answer().status == 421


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "localhost.", "127.0.0.1", "127.9.9.9:9", "[::1]", "[::1]:80"]
)
def test_this_machines_own_names_are_answered_to(server, host):
    with Client(server) as client:
        assert client.send(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n").answer().status == 200
        absolute = f"GET http://{host}/healthz HTTP/1.1\r\nHost: other\r\n\r\n"
        assert client.send(absolute).answer().status == 200


def test_more_names_may_be_allowed():
    with MetricsServer(Sources(), port=0, hosts=["Perf.Example"]) as server, Client(server) as client:
        for host, status in [("perf.example", 200), ("perf.example:80", 200), ("not.perf.example", 421)]:
            assert client.send(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n").answer().status == status


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_without_a_token_it_is_for_this_machine_alone(host):
    with pytest.raises(ValueError, match="a token is required where others can ask"):
        MetricsServer(Sources(), port=0, host=host)


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "é"])
def test_a_token_must_fit_into_a_header(token):
    with pytest.raises(ValueError, match="a token is") as error:
        MetricsServer(Sources(), port=0, token=token)
    assert not token or token not in str(error.value)


TOKEN = "Gh7-secret-0123456789"
WRONG = [
    [],
    [f"Authorization: Basic {TOKEN}"],
    [f"Authorization: Bearer {TOKEN}x"],
    ["Authorization: Bearer"],
    [f"Authorization: {TOKEN}"],
    ["Authorization: Bearer \xe9"],
    [f"Cookie: token={TOKEN}"],
]


def test_with_a_token_nothing_is_told_without_it(caplog, capfd):
    caplog.set_level(logging.DEBUG)
    sources = Sources(registry=lambda: 1 / 0)  # so that something is logged
    with MetricsServer(sources, port=0, host="0.0.0.0", token=TOKEN) as server:
        for path in ("/metrics", "/snapshot.json", "/live.json", "/healthz"):
            for wrong in WRONG:
                answer = ask(server, f"{path}?token={TOKEN}", *wrong)
                assert answer.status == 401 and answer.fields["www-authenticate"].startswith("Bearer")
                assert answer.body == b"a token is required\n"
            assert ask(server, path, f"Authorization: Bearer {TOKEN}").status != 401
            assert ask(server, path, f"authorization: bearer   {TOKEN}  ").status != 401
        page = ask(server, "/")  # has nothing to tell
        assert page.status == 200 and TOKEN.encode() not in page.body
        assert TOKEN not in repr(server) + repr(vars(server)["_desk"]._access)
    assert "answering /metrics failed" in caplog.text
    assert TOKEN not in caplog.text + "".join(capfd.readouterr())


# --- what goes wrong inside ---------------------------------------------------------------------------------


class Cache:
    """A cache whose stats can be had or not."""

    def __init__(self):
        self.trouble = None

    def stats(self):
        if self.trouble is not None:
            self.trouble()
        from perfcore.types import CacheStats

        return CacheStats(1, 1, 0, 0, 0, 1, 100)


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.01)


def test_a_part_that_raises_is_a_problem_and_hides_no_other():
    good, bad = Cache(), Cache()
    bad.trouble = lambda: 1 / 0
    with MetricsServer(Sources(caches=lambda: {"bad": bad, "good": good}), port=0, interval=0.05) as server:
        wait_for(lambda: ask(server).status == 503)
        assert "bad: ZeroDivisionError when it was looked at" in json.loads(ask(server).body)["problems"]
        first, second = json.loads(ask(server, "/live.json").body)["caches"]
        assert (first["hits"], first["ok"], second["hits"]) == (None, False, 1)
        bad.trouble = None
        wait_for(lambda: ask(server).status == 200)


def test_a_part_that_hangs_is_a_problem_and_holds_up_no_request():
    cache, go = Cache(), threading.Event()
    with MetricsServer(Sources(caches=lambda: {"c": cache}), port=0, interval=0.05) as server:
        wait_for(lambda: json.loads(ask(server, "/live.json").body)["history"]["numbers"])
        cache.trouble = go.wait
        wait_for(lambda: ask(server).status == 503)
        assert "something hangs" in json.loads(ask(server).body)["problems"][0]
        live = json.loads(ask(server, "/live.json").body)
        assert live["stale"] and not live["health"]["ok"]
        assert ask(server, "/metrics").body.count(b"perfcore_cache") == 0  # old figures are not those of now
        cache.trouble = None
        go.set()
        wait_for(lambda: ask(server).status == 200)


def test_a_scrape_that_hangs_ends_with_an_error_and_holds_up_only_scrapes():
    go = threading.Event()
    registry = Registry()

    def slow():
        if threading.current_thread().name == "perfcore-serve/metrics":
            go.wait(30)
        return registry

    patience = Patience(answer=0.4)
    with MetricsServer(Sources(registry=slow), port=0, interval=0.05, patience=patience) as server:
        with Client(server) as client, Client(server) as other:
            client.send(f"GET /metrics HTTP/1.1\r\n{HOST}\r\n")
            assert {other.get(path).status for path in ("/healthz", "/live.json", "/snapshot.json", "/")} == {
                200
            }
            assert client.answer().status == 503 and client.ended()
        go.set()
        wait_for(lambda: ask(server, "/metrics").status == 200)


def test_what_cannot_be_answered_is_an_error_of_that_answer_alone(caplog):
    broken = True

    def registry():
        return 1 / 0 if broken else Registry()

    with MetricsServer(Sources(registry=registry), port=0) as server:
        for _ in range(3):
            answer = ask(server, "/metrics")
            assert answer.status == 500 and b"ZeroDivision" not in answer.body
        assert caplog.text.count("answering /metrics failed (said once)") == 1
        broken = False
        assert ask(server, "/metrics").status == 200
