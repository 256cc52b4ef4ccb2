"""What a server answers, how it begins and ends, and that those who ask never touch the application."""

import json
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.request import Request, urlopen

import jsonschema
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as families
from promtool import need_prometheus, promtool, scraping
from raw_http import Client, ask

from perfcore import Cache, PerformanceManager
from perfcore.memory import BufferPool, ObjectPool
from perfcore.metrics import Counter, Gauge, Registry, Timer
from perfcore.metrics.jsonform import json_schema
from perfcore.monitor import MetricsServer, PerformanceAlerting, Sources, ThresholdRule
from perfcore.monitor.serve import PartState
from perfcore.monitor.serve.watch import Watch

HOST = "Host: localhost\r\n"


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.01)
    return found


def live(server, path="/live.json"):
    return json.loads(ask(server, path).body)


def looked(server):
    """Return the live form as soon as there has been a look."""
    return wait_for(lambda: (found := live(server))["history"]["numbers"] and found)


# --- what is answered ---------------------------------------------------------------------------------------


def test_each_path_has_its_kind_of_answer():
    kinds = {
        "/": "text/html; charset=utf-8",
        "/metrics": "text/plain; version=0.0.4; charset=utf-8",
        "/snapshot.json": "application/json",
        "/live.json": "application/json",
        "/healthz": "application/json",
    }
    with MetricsServer(Sources(), port=0) as server:
        for path, kind in kinds.items():
            answer = ask(server, path)
            assert (answer.status, answer.fields["content-type"]) == (200, kind)
            assert ask(server, path, method="HEAD")._replace(body=b"").fields["content-type"] == kind


def test_no_answer_may_be_kept_embedded_or_guessed_at():
    with MetricsServer(Sources(), port=0) as server:
        for path in ("/", "/metrics", "/live.json", "/nothing"):
            fields = ask(server, path).fields
            assert fields["cache-control"] == "no-store"
            assert fields["x-content-type-options"] == "nosniff"
            assert fields["referrer-policy"] == "no-referrer"
            assert fields["cross-origin-resource-policy"] == "same-origin"
            policy = dict(rule.split(" ", 1) for rule in fields["content-security-policy"].split("; "))
            assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
            assert "unsafe" not in fields["content-security-policy"]
            assert not {"server", "set-cookie", "access-control-allow-origin"} & fields.keys()


def test_the_page_needs_nothing_from_elsewhere_and_runs_only_its_own_script():
    with MetricsServer(Sources(), port=0) as server:
        answer = ask(server, "/")
    page = answer.body.decode()
    policy = answer.fields["content-security-policy"]
    assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy
    assert "script-src 'sha256-" in policy and "style-src 'sha256-" in policy
    assert page.count("<script>") == page.count("<style>") == 1
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")  # a name, from where nothing comes
    assert not [
        word for word in ("src=", "url(", "@import", "innerHTML", "eval(", "onclick=") if word in page
    ]


def test_head_is_get_without_a_body():
    with MetricsServer(Sources(registry=Registry), port=0) as server, Client(server) as client:
        body = client.get("/").body
        answer = client.get("/", method="HEAD")
        assert int(answer.fields["content-length"]) == len(body) and answer.body == b""
        assert client.get("/healthz").status == 200  # which was not a rest of the body


def test_connections_are_kept_as_the_client_wants():
    with MetricsServer(Sources(), port=0) as server:
        with Client(server) as client:
            for _ in range(3):
                assert client.get().fields["connection"] == "keep-alive"
            client.send(f"GET /healthz HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n")
            assert client.answer().fields["connection"] == "close" and client.ended()
        with Client(server) as client:
            client.send("GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert client.answer().fields["connection"] == "keep-alive"
            client.send("GET /healthz HTTP/1.0\r\n\r\n")
            assert client.answer().fields["connection"] == "close" and client.ended()
        assert server.stats().answers == {200: 6}


def test_requests_in_one_packet_are_answered_in_their_order():
    paths = ["/metrics", "/healthz", "/nothing", "/live.json", "/metrics", "/", "/healthz"]
    with MetricsServer(Sources(), port=0) as server, Client(server) as client:
        client.send("".join(f"GET {path} HTTP/1.1\r\n{HOST}\r\n" for path in paths))
        statuses = [client.answer() for _ in paths]
        assert [answer.status for answer in statuses] == [200, 200, 404, 200, 200, 200, 200]
        assert statuses[1].body.startswith(b'{"status"') and statuses[3].body.startswith(b'{"schema"')


def registry_of_one():
    registry = Registry()
    Counter("served", "Requests.", labels=["path"], registry=registry).labels('/a"b').inc(3)
    Gauge("perfcore.health", "Somebody else's.", registry=registry).set(7)
    return registry


def test_a_prometheus_scrapes_it(tmp_path):
    need_prometheus()
    cache = Cache(10, policy="lru")
    cache["a"] = 1
    for key in "aaab":
        cache.get(key)
    with MetricsServer(Sources(caches=lambda: {"memory": cache}), port=0, interval=0.1) as server:
        with scraping(tmp_path, server.port) as query:
            assert query('perfcore_cache_requests_total{cache="memory",result="hit"}') == [3.0]
            assert query("perfcore_health") == query('up{job="shop"}') == [1.0]
        assert server.stats().turned_away == 0


def test_prometheus_reads_what_it_scrapes_in_the_form_that_it_likes_best():
    registry, cache = registry_of_one(), Cache(10)
    cache.get("x")
    sources = Sources(registry=lambda: registry, caches=lambda: {"memory": cache})
    with MetricsServer(sources, port=0, interval=0.05) as server:
        looked(server)
        text = ask(server, "/metrics").body.decode()
        found = {family.name: family for family in families(text)}
        assert found["served"].samples[0].labels == {"path": '/a"b'}
        assert [sample.value for sample in found["perfcore_health"].samples] == [7.0]  # the user's own stands
        requests = {
            (*sample.labels.values(),): sample.value for sample in found["perfcore_cache_requests"].samples
        }
        assert requests == {("memory", "hit"): 0.0, ("memory", "miss"): 1.0}
        answer = ask(
            server, "/metrics", "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
        )
        assert answer.fields["content-type"].startswith("application/openmetrics-text")
        assert promtool("check", "metrics", given=text.encode()) == ""
        assert {family.name for family in openmetrics_families(answer.body.decode())} == {*found}


def test_a_snapshot_is_the_registry_with_the_live_form_beside_it():
    registry = registry_of_one()
    with MetricsServer(Sources(registry=lambda: registry), port=0, interval=0.05) as server:
        looked(server)
        found = live(server, "/snapshot.json")
    assert found["schema"] == "perfcore.metrics/1"
    jsonschema.validate(found, json_schema())
    assert found["live"]["schema"] == "perfcore.live/1"
    served = next(family for family in found["families"] if family["name"] == "served")
    assert served["samples"] == [{"labels": {"path": '/a"b'}, "value": 3}]


FIELDS = {
    "schema",
    "run",
    "begun",
    "age",
    "stale",
    "interval",
    "process",
    "health",
    "parts",
    "caches",
    "latency",
    "memory",
    "workers",
    "firing",
    "alerts",
    "policies",
    "pools",
    "decisions",
}
POLICY_FIELDS = {
    "cache",
    "policy",
    "arm",
    "window",
    "window_room",
    "main",
    "pinned",
    "switches",
    "sample_rate",
    "hits",
    "discord",
}


def test_the_fields_that_the_page_reads_are_these():
    """A golden test: whoever reads the live form relies on these names; add some, and take none away."""
    registry, cache = Registry(), Cache(100, policy="adaptive")
    timer = Timer("http.request", registry=registry)
    alerting = PerformanceAlerting([ThresholdRule(name="hot", metric="heat", threshold=1)])
    alerting.check_alerts({"heat": 5})
    counts = SimpleNamespace(busy=1, queued={"high": 2}, completed=3, failed=4)
    pool = SimpleNamespace(stats=lambda: counts)
    objects, buffers = ObjectPool(list), BufferPool(initial=0)
    sources = Sources(
        parts=lambda: {"disk": PartState("failed", "no room")},
        caches=lambda: {"memory": cache},
        health=lambda: {"memory": (True, ""), "remote": (False, "is away")},
        workers=lambda: {"pool": pool},
        pools=lambda: {"rows": objects, "buffers": buffers},
        changes=lambda: [(12.0, "1 caches halved", "99% of the limit in use")],
        alerts=lambda: alerting,
        registry=lambda: registry,
    )
    watch = Watch(sources, 1.0, 60.0)
    from perfcore.monitor.serve.forms import live_form

    watch.look(0.0)
    cache["a"] = 1
    for key in "aaab":
        cache.get(key)
    timer.observe(0.25)
    lease, buffer = objects.acquire(), buffers.acquire(1000)
    watch.look(1.0)
    lease.release()
    buffer.release()
    import msgspec

    form = msgspec.json.decode(msgspec.json.encode(live_form(watch)))
    history = form.pop("history")
    assert {*form} == FIELDS
    assert form["schema"] == "perfcore.live/1" and not form["stale"]
    assert sorted(form["process"]) == ["perfcore", "pid", "python"]
    assert form["health"] == {"ok": False, "problems": ["disk: no room", "remote: is away"]}
    assert form["parts"] == [{"name": "disk", "state": "failed", "detail": "no room"}]
    (held,) = form["caches"]
    counts = {"hits": 3, "misses": 1, "evictions": 0, "entries": 1, "bytes": held["bytes"], "hit_ratio": 0.75}
    assert held == {"name": "memory", "ok": True, "detail": ""} | counts
    (calls,) = form["latency"]
    assert (calls["name"], calls["count"], calls["rate"]) == ("http.request", 1, 1.0)
    assert all(abs(calls[name] / 0.25 - 1) < 0.0109 for name in ("p50", "p95", "p99")) and len(calls) == 6
    assert sorted(form["memory"]) == ["caches", "limit", "process", "used"]
    assert form["memory"]["limit"] > form["memory"]["process"] > 1e6
    assert form["workers"] == {"active": 1, "queued": 2.0, "completed": 3, "failed": 4}
    (firing,) = form["firing"]
    assert firing == form["alerts"][0] and {**firing, "time": 0} == {
        "rule": "hot",
        "state": "firing",
        "severity": "warning",
        "message": "hot: heat is 5.0",
        "time": 0,
    }
    (policy,) = form["policies"]
    assert {*policy} == POLICY_FIELDS
    rows = {"in_use": 1, "idle": 0, "acquired": 1, "reused": 0, "leaked": 0, "hit_ratio": 0.0}
    lent = {"in_use": 1000, "idle": 0, "acquired": 1, "reused": 0, "leaked": 0, "hit_ratio": 0.0}
    assert form["pools"] == [
        {"name": "rows", "unit": "objects"} | rows,
        {"name": "buffers", "unit": "bytes"} | lent,
    ]
    why = "99% of the limit in use"
    assert form["decisions"] == [
        {"time": 12.0, "cache": "memory optimizer", "what": "1 caches halved", "why": why}
    ]
    assert history["numbers"] == [1, 2] and len(history["times"]) == 2
    series = history["series"]
    assert series["hit_ratio.memory"] == [None, 0.75]  # unknown before there are two looks, and not zero
    assert series["latency.http.request.p95"] == [None, pytest.approx(0.25, rel=0.0109)]
    assert series["workers.active"] == [1, 1] and series["alerts.firing"] == [1, 1]
    assert series["pool.rows.in_use"] == [0, 1] and series["pool.buffers.idle"] == [0, 0]
    assert series["policy.memory"] == [policy["arm"]] * 2
    assert {"memory.process", "memory.caches", "workers.queued"} < series.keys()


def test_what_was_not_asked_for_lately_is_a_gap_and_a_look_too_late_tells_no_rate():
    registry, cache = Registry(), Cache(10)
    timer = Timer("calls", registry=registry)
    watch = Watch(Sources(caches=lambda: {"c": cache}, registry=lambda: registry), 1.0, 60.0)
    for now in (0.0, 1.0, 2.0, 9.0, 10.0):
        watch.look(now)
        if now != 1.0:
            cache.get("nothing")
            timer.observe(0.25)
    series = watch.history()["series"]
    assert series["hit_ratio.c"] == [None, 0.0, None, None, 0.0]
    known = [value is not None for value in series["latency.calls.p50"]]
    assert known == [False, True, False, False, True]


def test_history_has_a_bound_and_can_be_asked_for_from_a_number_on():
    watch = Watch(Sources(registry=Registry), 1.0, 5.0)
    for now in range(20):
        watch.look(float(now))
    assert watch.history()["numbers"] == [16, 17, 18, 19, 20]
    assert watch.history(18)["numbers"] == [19, 20] and watch.history(20)["times"] == []
    with MetricsServer(Sources(), port=0, interval=0.05) as server:
        last = looked(server)["history"]["numbers"][-1]
        assert all(number > last for number in live(server, f"/live.json?since={last}")["history"]["numbers"])
        for query in ("since=x", "since=-1", "since=1&since=2", "x", "since=" + "9" * 30):
            assert ask(server, f"/live.json?{query}").status == 400


def test_of_ten_thousand_series_some_are_shown_and_all_are_exported():
    registry = Registry(max_series=10_000)
    timer = Timer("calls", labels=["path"], registry=registry)
    for number in range(3000):
        timer.labels(f"/{number}").observe(0.1)
    with MetricsServer(Sources(registry=lambda: registry), port=0, interval=0.2) as server:
        assert len(looked(server)["latency"]) == 6
        assert ask(server, "/metrics").body.count(b"calls_seconds_count{") == 3000


def test_a_change_of_policy_is_a_decision_with_its_figures():
    cache = Cache(100, policy="lru")
    watch = Watch(Sources(caches=lambda: {"memory": cache}, registry=Registry), 1.0, 60.0)
    watch.look(0.0)
    cache.policy = "adaptive"
    watch.look(1.0)
    (decision,) = watch.decisions()
    assert decision.cache == "memory" and decision.what == "lru → adaptive"
    assert all(arm in decision.why for arm in cache.policy_state().hits)
    assert abs(decision.time - time.time()) < 60


def test_whoever_asks_touches_nothing_of_the_application():
    looks = []
    sources = Sources(caches=lambda: looks.append(threading.current_thread().name) or {})
    with MetricsServer(sources, port=0, interval=0.5) as server:
        looked(server)
        for _ in range(50):
            for path in ("/live.json", "/healthz", "/", "/metrics", "/snapshot.json"):
                assert ask(server, path).status == 200
        assert {*looks} == {"perfcore-serve-look"}
        assert len(looks) <= server._watch.history()["numbers"][-1] + 1


# --- with a manager -----------------------------------------------------------------------------------------


def test_a_manager_serves_its_parts_and_ends_that_with_itself(tmp_path):
    settings = {"layers": {"disk": {"enabled": True, "directory": str(tmp_path)}}, "max_memory": "8MB"}
    watched = {"enabled": True, "interval": 0.05, "enable_alerts": True}
    with PerformanceManager(caching=settings, monitoring=watched) as manager:
        server = manager.serve(port=0, interval=0.05)
        assert server.host == "127.0.0.1" and server.url == f"http://127.0.0.1:{server.port}/"
        manager.cache.get_or_set("a", lambda: 1)
        manager.monitor.caching.add("sessions", Cache(5))
        manager.alerts.add_rule(ThresholdRule(name="any", metric="system.memory.used", threshold=1))
        found = wait_for(lambda: (form := looked(server))["firing"] and len(form["caches"]) == 3 and form)
        assert [cache["name"] for cache in found["caches"]] == ["memory", "disk", "sessions"]
        assert [cache["ok"] for cache in found["caches"]] == [True, True, None]
        assert {part["name"]: part["state"] for part in found["parts"]}["disk"] == "running"
        assert found["firing"][0]["rule"] == "any"
        text = ask(server, "/metrics").body.decode()
        assert 'perfcore_alert_firing{rule="any",severity="warning"} 1' in text
        assert 'perfcore_cache_requests_total{cache="disk"' in text and "system_memory_usage_bytes" in text
    assert not server.running
    with pytest.raises(ConnectionRefusedError):
        Client(server)


def test_serving_builds_nothing_and_starts_a_manager():
    manager = PerformanceManager()
    server = manager.serve(port=0, interval=0.05)
    looked(server)
    assert {part.state for part in manager.status().parts.values()} <= {"idle", "off", "unavailable"}
    manager.close()
    assert not server.running


async def test_it_can_be_awaited():
    async with PerformanceManager() as manager:
        server = await manager.aserve(port=0)
        assert server.running
    assert not server.running


def test_a_tier_that_cannot_be_had_is_said_at_the_health_check(tmp_path):
    (tmp_path / "file").write_text("")
    layers = {"disk": {"enabled": True, "directory": str(tmp_path / "file" / "below")}}
    with PerformanceManager(caching={"layers": layers}) as manager:
        server = manager.serve(port=0, interval=0.05)
        assert ask(server).status == 200  # nobody has asked for it yet
        manager.disk.get("x")
        answer = wait_for(lambda: (found := ask(server)).status == 503 and found)
        assert json.loads(answer.body)["problems"][0].startswith("disk: ")
        assert "perfcore_health 0" in ask(server, "/metrics").body.decode()


def test_two_managers_serve_side_by_side():
    with PerformanceManager() as one, PerformanceManager() as two:
        servers = [one.serve(port=0), two.serve(port=0), one.serve(port=0)]
        assert len({server.port for server in servers}) == 3
        assert len({looked(server)["run"] for server in servers}) == 3
        servers[0].close()
        assert [server.running for server in servers] == [False, True, True]


# --- beginning and ending -----------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_named():
    with MetricsServer(Sources(), port=0) as server:
        with pytest.raises(OSError, match=f"port {server.port} of 127.0.0.1 is taken") as error:
            MetricsServer(Sources(), port=server.port)
        assert error.value.errno
    with MetricsServer(Sources(), port=server.port) as again:  # at once, although connections are remembered
        assert ask(again).status == 200


@pytest.mark.parametrize("port", [-1, 65536, "80", 1.5, True, None])
def test_what_is_no_port_is_refused(port):
    with pytest.raises(ValueError, match="a port is a number"):
        MetricsServer(Sources(), port=port)


def test_a_host_that_nobody_knows_and_an_address_of_others_are_refused():
    with pytest.raises(OSError, match=r"cannot serve on no-such-host\.invalid"):
        MetricsServer(Sources(), port=0, host="no-such-host.invalid")
    with pytest.raises(OSError, match="is on no address of this machine"):
        MetricsServer(Sources(), port=0, host="192.0.2.1", token="token")


@pytest.mark.parametrize(
    "options", [{"interval": 0}, {"interval": float("nan")}, {"interval": 5, "history": 1}]
)
def test_times_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match="interval <= history"):
        MetricsServer(Sources(), port=0, **options)


def test_ipv6_is_spoken_where_there_is_any():
    try:
        server = MetricsServer(Sources(), port=0, host="::1")
    except OSError:
        pytest.skip("no IPv6 here")
    with server:
        assert server.url == f"http://[::1]:{server.port}/"
        assert urlopen(f"{server.url}healthz").status == 200


def test_an_answer_that_is_on_its_way_arrives_although_the_server_closes():
    ready, go = threading.Event(), threading.Event()
    registry = Registry()
    Counter("served", registry=registry).inc()

    def slow():
        if threading.current_thread().name == "perfcore-serve/metrics":
            ready.set()
            go.wait(20)
        return registry

    server = MetricsServer(Sources(registry=slow), port=0)
    with Client(server) as client, Client(server) as idle, Client(server) as half:
        assert idle.get().status == 200
        half.send("GET / HT")
        client.send(f"GET /metrics HTTP/1.1\r\n{HOST}\r\n")
        ready.wait(20)
        closing = threading.Thread(target=server.close, kwargs={"timeout": 20})
        closing.start()
        assert idle.ended() and half.ended()
        with pytest.raises(ConnectionRefusedError):
            Client(server)
        go.set()
        answer = client.answer()
        assert b"served_total 1" in answer.body and answer.fields["connection"] == "close"
    closing.join(20)
    assert not closing.is_alive()


def test_closing_does_not_wait_for_ever_and_may_be_done_twice():
    go = threading.Event()
    server = MetricsServer(Sources(registry=lambda: go.wait(20) and Registry()), port=0)
    with Client(server) as client:
        client.send(f"GET /metrics HTTP/1.1\r\n{HOST}\r\n")
        begun = time.monotonic()
        server.close(timeout=0.1)
        assert time.monotonic() - begun < 10
        assert client.ended()
    server.close()
    go.set()
    assert not server.running and repr(server).endswith(", closed>")


def run_alone(script, expected):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.strip(), done.stderr, done.returncode) == (expected, "", 0)


def test_a_forked_child_has_no_server_and_does_not_keep_the_parents_port():
    run_alone(
        """
        import os, socket, warnings
        from urllib.request import urlopen
        from perfcore import PerformanceManager

        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of any fork beside threads
        manager = PerformanceManager()
        server = manager.serve(port=0, interval=0.05)
        kept = socket.create_connection(("127.0.0.1", server.port))
        kept.sendall(b"GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
        assert kept.recv(9999).startswith(b"HTTP/1.1 200")
        wait, go = os.pipe()
        told, tell = os.pipe()
        child = os.fork()
        if child == 0:
            assert not server.running
            server.close()
            mine = manager.serve(port=0, interval=0.05)  # and may have one of its own
            assert urlopen(mine.url + "healthz").status == 200 and mine.port != server.port
            os.write(tell, b"!")
            os.read(wait, 1)
            manager.close()
            os._exit(0)
        assert os.read(told, 1) == b"!"
        # the child has not taken it off the list of what the parent waits for
        kept.sendall(b"GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
        assert kept.recv(9999).startswith(b"HTTP/1.1 200")
        assert urlopen(server.url + "healthz").status == 200
        port = server.port
        manager.close()
        assert kept.recv(1) == b""
        again = manager.start().serve(port=port)             # while the child lives
        assert urlopen(again.url + "healthz").status == 200
        os.write(go, b"!")
        assert os.waitpid(child, 0)[1] == 0
        manager.close()
        print("done")
        """,
        "done",
    )


def test_a_program_that_forgets_to_close_ends_all_the_same():
    run_alone(
        """
        from perfcore import PerformanceManager
        manager = PerformanceManager()
        server = manager.serve(port=0, interval=0.01)
        print(server.running)
        """,
        "True",
    )


def test_memory_stays_flat_over_thousands_of_connections():
    done = subprocess.run(
        [sys.executable, Path(__file__).parent.parent / "isolated" / "serving.py"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_a_manager_loads_no_server():
    run_alone(
        """
        import sys
        before = {*sys.modules}
        from perfcore import PerformanceManager
        with PerformanceManager(): pass
        print([name for name in {*sys.modules} - before if "serve" in name or name == "selectors"])
        """,
        "[]",
    )


def test_a_scraper_of_the_standard_library_gets_along_with_it():
    with MetricsServer(Sources(), port=0, token="secret-token") as server:
        request = Request(f"{server.url}metrics", headers={"Authorization": "Bearer secret-token"})
        assert urlopen(request).status == 200
