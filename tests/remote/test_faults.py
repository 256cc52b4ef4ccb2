"""Servers die, hang, fill up, lie and come back: callers get values or misses, in time, never an exception.

``make chaos`` runs each fault for longer (PERFCORE_FAULT_SECONDS) and prints the table.
"""

import gc
import os
import random
import subprocess
import threading
import time

import pytest
import valkey
from redis_servers import Cluster, Server, free_port, wait_until
from remote.load import Load, Noise
from remote.proxies import Drip, Garbage, Proxy

from perfcore.cache import RemoteCache
from perfcore.cache.codec import Codec
from perfcore.cache.keys import encode_key
from perfcore.cache.remote.slots import slot_of
from perfcore.cache.remote.wire import Ask

HOLD = float(os.environ.get("PERFCORE_FAULT_SECONDS", "0.4"))
TIMEOUT = 0.25
ROWS = []


@pytest.fixture(scope="module", autouse=True)
def table():
    """Print what was measured, at the end, when asked for."""
    yield
    if "PERFCORE_FAULT_SECONDS" in os.environ:
        from rich.console import Console
        from rich.table import Table

        titles = ["fault", "calls", "errors", "wrong", "stale"]
        titles += ["p99 before ms", "during", "after", "recovered s"]
        shown = Table(*titles)
        for row in ROWS:
            shown.add_row(*row)
        Console(width=130).print(shown)


@pytest.fixture
def lone(tmp_path):
    servers = []

    def start(**options):
        servers.append(Server(tmp_path, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def broken_cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


@pytest.fixture
def caches():
    made = []

    def make(**options):
        made.append(RemoteCache(**{"timeout": TIMEOUT, "ttl": 60} | options))
        return made[-1]

    yield make
    for cache in made:
        cache.close()


def survive(name, cache, strike, heal, *, serving_meanwhile=False):
    """Run a load through a fault and its end, and hold it to the promises."""
    load = Load(cache)
    with Noise() as noise, load.running():
        wait_until(lambda: load.hits["before"], "the load being under way")
        time.sleep(0.6)
        strike()
        healed, load.phase = time.monotonic(), "during"
        time.sleep(HOLD / 2)
        load.invalidate(1)
        time.sleep(HOLD / 2)
        if heal is not None:  # else it heals by itself, counted from the strike
            heal()
            healed = time.monotonic()
        load.phase = "healing"
        wait_until(lambda: works(cache), f"recovery from: {name}")
        recovered = time.monotonic() - healed
        load.phase = "after"
        time.sleep(0.7)
    times = [f"{load.p99(phase) * 1e3:.1f}" for phase in ("before", "during", "after")]
    found = [str(len(one)) for one in (load.errors, load.wrong, load.invalidated)]
    calls = sum(map(len, load.calls.values()))
    ROWS.append((name, str(calls), *found, *times, f"{recovered:.2f}"))
    assert load.errors == []
    assert load.wrong == []
    assert load.invalidated == []
    assert load.hits["before"]
    assert load.hits["after"]
    if serving_meanwhile:
        assert load.hits["during"]
    for phase in ("before", "during", "healing", "after"):
        assert load.p999(phase) <= TIMEOUT + 2 * noise.longest + 0.05, phase
    assert cache.stats().missed == 0


class Poisoner(threading.Thread):
    """Damages entries, at a random byte or altogether, for as long as it runs."""

    def __init__(self, clients, cache):
        super().__init__()
        self._clients, self._cache, self._done = clients, cache, threading.Event()

    def run(self):
        draw, pattern = random.Random(1), f"{self._cache._prefix}:{self._cache._store.epoch.current}:*"
        while not self._done.is_set():
            for client in self._clients:
                for name in client.scan_iter(pattern, count=100):
                    good = client.get(name) or b""
                    at = draw.randrange(len(good) + 1)
                    worse = [good[:at], good[:at] + b"\xff" + good[at + 1 :], b"\x80\x04N."]
                    client.set(name, draw.choice(worse))

    def stop(self):
        self._done.set()
        self.join()


def works(cache):
    """Say whether all keys of a spread-out set can be stored and read again, and nothing is owed."""
    probe = {f"probe{number}": time.monotonic() for number in range(50)}
    cache.set_many(probe)
    return cache.get_many(probe) == list(probe.values()) and cache.stats().missed == 0


# --- one server ---------------------------------------------------------------------------------------------


def test_a_server_that_is_killed_and_comes_back(lone, caches):
    server = lone()
    survive("server killed, restarted", caches(url=server.url), server.kill, server.start)


def test_a_server_that_is_paused(lone, caches):
    server = lone()
    survive("server paused (SIGSTOP)", caches(url=server.url), server.pause, server.resume)


def test_a_server_that_is_full_and_has_room_again(lone, caches):
    server = lone(maxmemory_policy="noeviction")
    survive(
        "server full (noeviction)",
        caches(url=server.url),
        lambda: server.command("config", "set", "maxmemory", "1"),
        lambda: server.command("config", "set", "maxmemory", "0"),
        serving_meanwhile=True,
    )


def test_a_password_that_is_changed_and_changed_back(lone, caches):
    server = lone(requirepass="right")

    def change(old, new):
        server.command("-a", old, "config", "set", "requirepass", new)
        server.command("-a", new, "client", "kill", "type", "normal")

    survive(
        "wrong password",
        caches(url=f"redis://:right@127.0.0.1:{server.port}"),
        lambda: change("right", "other"),
        lambda: change("other", "right"),
    )


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$3\r\nabc\r\n"], ids=["http", "lies"]
)
def test_a_server_whose_place_is_taken_by_one_that_answers_garbage(lone, caches, answer):
    server, impostors = lone(), []

    def strike():
        server.kill()
        impostors.append(Garbage(server.port, answer))

    def heal():
        impostors.pop().close()
        server.start()

    survive(f"garbage ({answer[:4].decode()!r}...)", caches(url=server.url), strike, heal)


def test_values_that_are_poisoned_under_load(lone, caches):
    server = lone()
    cache = caches(url=server.url)
    client = valkey.Valkey(port=server.port)
    poisoner = Poisoner([client], cache)
    survive("values poisoned", cache, poisoner.start, poisoner.stop)
    assert cache.stats().damaged > 0
    client.close()


@pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning")  # valkey-py's, when a handshake fails
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tls_that_is_refused_because_the_server_shows_another_certificate(lone, caches, certificates):
    port = free_port()

    def show(name):
        return {
            "tls_cert_file": certificates / f"{name}.pem",
            "tls_key_file": certificates / f"{name}.key",
            "tls_ca_cert_file": certificates / f"{name}.pem",
        }

    server = lone(tls_port=port, tls_auth_clients="no", **show("right"))

    def change(name):
        server.kill()
        server.options |= {key.replace("_", "-"): str(value) for key, value in show(name).items()}
        server.start()

    cache = caches(
        url=f"rediss://127.0.0.1:{port}", connection={"ssl_ca_certs": str(certificates / "right.pem")}
    )
    survive("TLS refused (certificate)", cache, lambda: change("wrong"), lambda: change("right"))
    gc.collect()


@pytest.mark.parametrize("mode", ["drop", "slow"])
def test_a_network_that_swallows_or_delays(lone, caches, mode):
    proxy = Proxy(lone().port)

    def switch(mode):
        proxy.mode = mode

    name = {"drop": "partition (packets dropped)", "slow": "answers take 1 s"}[mode]
    survive(name, caches(url=proxy.url), lambda: switch(mode), lambda: switch("pass"))
    proxy.close()


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 50, b":7\r\n", b"$3\r\nabc\r\n", b"*-5\r\n", b"$99\r\nabc"],
)
def test_a_server_that_is_replaced_by_one_that_answers_garbage(lone, caches, answer):
    server = lone()
    cache = caches(url=server.url, timeout=0.05)
    cache["key"] = "value"
    server.kill()
    garbage = Garbage(server.port, answer)
    for _ in range(5):
        assert cache.get("key") is None
        cache.set("key", "other")
        assert cache.get_many(["key", "b"]) == [None, None]
        assert not cache.delete("key") or answer == b":7\r\n"
        cache.invalidate_tags("t")
    garbage.close()
    server.start()
    wait_until(lambda: works(cache), "recovery")


@pytest.mark.parametrize("answer", [b"$100000\r\n", b"*3\r\n$5\r\n", b"-ERR "])
async def test_a_server_that_answers_drop_by_drop_holds_nobody_for_longer_than_the_timeout(caches, answer):
    drip = Drip(free_port(), answer)
    cache = caches(url=f"redis://127.0.0.1:{drip.port}", timeout=TIMEOUT)
    for _ in range(3):
        with Noise() as noise:
            begin = time.perf_counter()
            assert cache.get_many(["key", "other"], "none") == ["none", "none"]
            middle = time.perf_counter()
            assert await cache.aget("key", "none") == "none"
            end = time.perf_counter()
        assert max(middle - begin, end - middle) <= TIMEOUT + 2 * noise.longest + 0.05
    await cache.aclose()
    drip.close()


def test_a_full_server_loses_the_older_value_too(lone, caches):
    server = lone(maxmemory="3mb", maxmemory_policy="noeviction")
    cache = caches(url=server.url, compression="off")
    cache.set("key", "old", tags=["t"])
    cache["plain"] = "old"
    for number in range(200):
        cache.set(("filler", number), os.urandom(20_000))
    assert cache.stats().rejections > 0
    cache.set("plain", "new" * 9000)
    assert cache.get("plain") is None
    cache.invalidate_tags("t")
    assert cache.get("key") is None
    server.command("config", "set", "maxmemory", "0")
    cache["plain"] = "newest"
    assert cache["plain"] == "newest"
    assert cache.get("key") is None


def test_a_wrong_password_is_a_miss_and_said(lone, caches):
    server = lone(requirepass="right")
    for url in (f"redis://:wrong@127.0.0.1:{server.port}", server.url):
        cache = caches(url=url)
        cache["key"] = 1
        assert cache.get("key") is None
        assert cache.problems()
        assert "wrong" not in str(cache.problems())
    assert caches(url=f"redis://:right@127.0.0.1:{server.port}").check() == []


@pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning")  # valkey-py's, when a handshake fails
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_refused_tls_is_a_miss_and_said(lone, caches):
    cache = caches(url=lone().url.replace("redis://", "rediss://"), timeout=0.05)
    cache["key"] = 1
    assert cache.get_many(["key"]) == [None]
    assert [cache.get("key") for _ in range(4)] == [None] * 4
    wait_until(cache.problems, "somebody seeing that there is no handshake")
    cache.close()
    gc.collect()


def test_poisoned_values_are_misses_counted_and_removed(lone, caches):
    server = lone()
    cache = caches(url=server.url)
    cache.set_many({number: ("value", number) for number in range(8)})
    epoch = cache._store.epoch.current
    place = [cache._store.names.key(epoch, encode_key(number)).decode() for number in range(8)]
    client = cache._router.connector.connect(("127.0.0.1", server.port), 5)

    def do(*words):
        client.send_command(*words)
        return client.read_response()

    good = do("GET", place[7])
    poison = [b"", b"\x80\x04N.", good, good[:-1], good[:20] + b"\xff" + good[21:], b"\0" * 100]
    for name, data in zip(place, poison, strict=False):
        do("SET", name, data)
    do("DEL", place[6])
    do("LPUSH", place[6], "a list")
    assert [cache.get(number) for number in range(8)] == [None] * 7 + [("value", 7)]
    assert cache.stats().damaged == 6
    assert do("EXISTS", *place[:6]) == 0
    client.disconnect()


def test_an_entry_for_another_release_is_a_miss_and_stays(lone, caches):
    server = lone()
    new, old = caches(url=server.url, codec=Codec(pickle=True)), caches(url=server.url)
    new.set("key", range(7))
    assert old.get("key", "none") == "none"
    assert old.stats().unreadable == 1 and old.stats().damaged == 0
    assert new.get("key") == range(7)


def test_more_missed_changes_than_fit_move_the_epoch(lone, caches):
    server = lone(save="3600 1")
    cache, other = caches(url=server.url), caches(url=server.url, epoch_window=0)
    cache._store.missed._most = 50
    cache.set_many(dict.fromkeys(range(200), "old"))
    server.command("save")
    server.kill()
    for number in range(100):
        cache.delete(number)
    assert cache.stats().epochs >= 1
    server.start()  # with all the old values
    wait_until(lambda: works(cache), "recovery")
    assert other.get_many(range(200)) == [None] * 200
    assert cache.get_many(range(200)) == [None] * 200


def test_changes_that_a_server_missed_hold_when_it_is_back(lone, caches):
    server = lone(save="3600 1")
    cache, other = caches(url=server.url), caches(url=server.url)
    cache.set_many({"deleted": 1, "written": 1, "kept": 1})
    cache.set("tagged", 1, tags=["t"])
    server.command("save")
    server.kill()
    cache.delete("deleted")
    cache.set("written", 2)
    cache.invalidate_tags("t")
    assert cache.stats().missed == 3
    server.start()
    wait_until(lambda: cache.stats().missed == 0, "recovery")
    wait_until(lambda: other.get("kept") == 1, "the other's recovery")
    assert other.get_many(["deleted", "written", "tagged", "kept"]) == [None, None, None, 1]


# --- a cluster ----------------------------------------------------------------------------------------------


def test_a_killed_primary_is_replaced_under_load(broken_cluster, caches):
    victim = broken_cluster.primaries()[0]
    cache = caches(nodes=broken_cluster.nodes)
    survive("primary killed", cache, victim.kill, None, serving_meanwhile=True)
    victim.start()
    broken_cluster.wait_until_whole()
    # and then a slot moves from one shard to another while it is read
    migrate(broken_cluster, cache)
    # and then a shard dies altogether, and comes back empty
    primary = broken_cluster.primaries()[0]
    both = [primary, *broken_cluster.replicas_of(primary)]
    survive(
        "primary and replica killed",
        cache,
        lambda: [one.kill() for one in both],
        lambda: [one.start() for one in both],
        serving_meanwhile=True,
    )


def migrate(cluster, cache):
    """Move slots from one primary to another while they are read and written."""
    source, target = cluster.primaries()[:2]
    name = target.command("cluster", "myid")
    load = Load(cache)
    with load.running():
        subprocess.run(
            [
                *("redis-cli", "--cluster", "reshard", source.address, "--cluster-from"),
                *(source.command("cluster", "myid"), "--cluster-to", name),
                *("--cluster-slots", "400", "--cluster-yes"),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
    during = f"{load.p99('before') * 1e3:.1f}"
    found = [str(len(one)) for one in (load.calls["before"], load.errors, load.wrong, load.invalidated)]
    ROWS.append(("slots moved under load", *found, "", during, "", ""))
    assert (load.errors, load.wrong, load.invalidated) == ([], [], [])
    assert load.hits["before"]


def test_what_happens_to_servers_happens_to_those_of_a_cluster(broken_cluster, caches):
    cluster = broken_cluster
    cache = caches(nodes=cluster.nodes)
    victim = cluster.primaries()[0]
    survive("cluster: primary paused", cache, victim.pause, victim.resume, serving_meanwhile=HOLD > 1)
    cluster.wait_until_whole()

    def everywhere(*words):
        for server in cluster.servers:
            server.command(*words)

    survive(
        "cluster: all full (noeviction)",
        cache,
        lambda: everywhere("config", "set", "maxmemory", "1"),
        lambda: everywhere("config", "set", "maxmemory", "0"),
        serving_meanwhile=True,
    )
    clients = [valkey.Valkey(port=server.port) for server in cluster.primaries()]
    poisoner = Poisoner(clients, cache)
    survive("cluster: values poisoned", cache, poisoner.start, poisoner.stop)
    for client in clients:
        client.close()
    victim, impostors = cluster.primaries()[0], []

    def strike():
        victim.kill()
        impostors.append(Garbage(victim.port, b"$3\r\nabc\r\n"))

    def heal():
        impostors.pop().close()
        victim.start()

    survive("cluster: garbage for a primary", cache, strike, heal, serving_meanwhile=True)


def test_a_password_that_is_changed_on_all_of_a_cluster(broken_cluster, caches):
    def change(old, new):
        for server in broken_cluster.servers:
            before = ("-a", old) if old else ()
            server.command(*before, "config", "set", "masterauth", new)
            server.command(*before, "config", "set", "requirepass", new)
            server.command("-a", new, "client", "kill", "type", "normal")

    change("", "right")
    cache = caches(nodes=broken_cluster.nodes, connection={"password": "right"})
    survive(
        "cluster: wrong password", cache, lambda: change("right", "other"), lambda: change("other", "right")
    )


@pytest.fixture
def private_cluster(tmp_path, certificates):
    """A cluster that speaks nothing but TLS, also among its nodes, which trust both certificates."""
    cluster = Cluster(
        tmp_path,
        tls=certificates / "both.pem",
        tls_cert_file=certificates / "right.pem",
        tls_key_file=certificates / "right.key",
        tls_ca_cert_file=certificates / "both.pem",
        tls_auth_clients="no",
    )
    yield cluster
    cluster.close()


def test_tls_that_is_refused_because_nodes_show_another_certificate(private_cluster, caches, certificates):
    cluster = private_cluster
    trusted = {"ssl": True, "ssl_ca_certs": str(certificates / "right.pem"), "ssl_check_hostname": True}
    cache = caches(nodes=cluster.nodes, replication_factor=2, connection=trusted)
    wait_until(lambda: cache.check() == [], "all nodes knowing of all others")
    primaries = cluster.primaries()

    def show(name, servers):
        shown = ["tls-cert-file", certificates / f"{name}.pem", "tls-key-file", certificates / f"{name}.key"]
        for server in servers:
            assert server.command("config", "set", *shown) == "OK"
            server.command("client", "kill", "type", "normal")

    def heal(servers):
        struck = [server for server in servers if server in primaries]
        said = {f"{server.address}: ConnectionError (SSLCertVerificationError)" for server in struck}
        wait_until(lambda: said <= set(cache.problems()), "somebody seeing whose certificate is wrong")
        show("right", servers)

    for name, servers in [("one primary", primaries[:1]), ("everywhere", cluster.servers)]:
        survive(
            f"cluster: TLS refused, {name}",
            cache,
            lambda servers=servers: show("wrong", servers),
            lambda servers=servers: heal(servers),
            serving_meanwhile=len(servers) == 1,
        )
    gc.collect()


@pytest.fixture
def distant_cluster(tmp_path):
    """A cluster whose nodes are reached, and reach each other's data, by proxies only."""
    cluster = Cluster(tmp_path)
    proxies = [Proxy(server.port) for server in cluster.servers]
    for server, proxy in zip(cluster.servers, proxies, strict=True):
        server.command("config", "set", "cluster-announce-port", proxy.port)
    own = {proxy.port for proxy in proxies}

    def told():
        lines = cluster.servers[0].command("cluster", "nodes").splitlines()
        return {int(line.split()[1].partition("@")[0].rpartition(":")[2]) for line in lines} == own

    wait_until(told, "all nodes knowing where the others are")
    cluster.wait_until_whole()
    yield cluster, proxies
    for proxy in proxies:
        proxy.close()
    cluster.close()


def test_a_cluster_of_which_some_nodes_cannot_be_reached_or_are_slow(distant_cluster, caches):
    cluster, proxies = distant_cluster
    cache = caches(nodes=[f"127.0.0.1:{proxy.port}" for proxy in proxies])
    primaries = cluster.primaries()
    first = next(p for p, server in zip(proxies, cluster.servers, strict=True) if server is primaries[0])

    def switch(proxies, mode):
        for proxy in proxies:
            proxy.mode = mode

    for name, some, mode in [
        ("cluster: partition, one primary", [first], "drop"),
        ("cluster: partition, everything", proxies, "drop"),
        ("cluster: a primary answers in 1 s", [first], "slow"),
    ]:
        survive(name, cache, lambda s=some, m=mode: switch(s, m), lambda s=some: switch(s, "pass"))


def test_reads_go_to_the_replica_while_a_primary_is_down(broken_cluster, caches):
    cache = caches(nodes=broken_cluster.nodes, replication_factor=2)
    wait_until(lambda: cache.check() == [], "all nodes knowing of all others")
    keys = [f"key{number}" for number in range(100)]
    cache.set_many({key: key for key in keys})
    primary = broken_cluster.primaries()[0]
    (replica,) = broken_cluster.replicas_of(primary)
    wait_until(lambda: replica.command("dbsize") == primary.command("dbsize"), "replication")
    mine = [key for key in keys if cache._router.node(ask_for(cache, key)).address[1] == primary.port]
    assert len(mine) > 10
    primary.kill()
    found = [cache.get(key) for key in mine]
    assert found.count(None) <= 1
    assert [value for value in found if value is not None] == [
        key for key, value in zip(mine, found, strict=True) if value is not None
    ]


def ask_for(cache, key):
    name = cache._store.names.key(cache._store.epoch.current, encode_key(key))
    return Ask(slot_of(name), (b"GET", name))


def test_everything_restarts(broken_cluster, caches):
    cache = caches(nodes=broken_cluster.nodes)
    servers = broken_cluster.servers
    survive(
        "all servers killed, restarted",
        cache,
        lambda: [server.kill() for server in servers],
        lambda: [server.start() for server in servers],
    )
