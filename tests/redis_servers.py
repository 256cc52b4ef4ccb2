"""Real Redis servers for tests: ordinary processes on loopback, with ports and folders of their own."""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

#: what a server answers when all is well takes milliseconds; this is for loaded machines
PATIENCE = 30.0


def need_redis():
    """Skip where there is no server to run, but fail where there must be one."""
    if shutil.which("redis-server") and shutil.which("redis-cli"):
        return
    reason = "redis-server and redis-cli are missing: tools/debian-packages installs them"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def free_port():
    """Return a port that is free, as is the one 10 000 above it, which a cluster's nodes gossip on."""
    for _ in range(100):
        with closing(socket.socket()) as one, closing(socket.socket()) as other:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            if port > 50_000:
                continue
            try:
                other.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
            return port
    raise OSError("no pair of free ports")


def wait_until(true, what):
    """Wait until ``true()`` is, or fail."""
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not happen within {PATIENCE:.0f} s")
        time.sleep(0.02)


class Server:
    """One redis-server. ``options`` are those of its configuration file, with underscores for hyphens."""

    def __init__(self, folder, port=None, *, tls=None, **options):
        self.port = free_port() if port is None else port
        self.tls = [] if tls is None else ["--tls", "--cacert", str(tls)]
        self.folder = Path(folder) / str(self.port)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.options = {"bind": "127.0.0.1", "save": "", "appendonly": "no"} | {
            name.replace("_", "-"): str(value) for name, value in options.items()
        }
        self.process = None
        self.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"redis://{self.address}"

    def start(self):
        """Start it, empty unless it was told to save, and wait until it answers."""
        listen = {"port": "0", "tls-port": str(self.port)} if self.tls else {"port": str(self.port)}
        arguments = [part for name, value in (listen | self.options).items() for part in (f"--{name}", value)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["redis-server", "--dir", str(self.folder), *arguments],
                stdout=log,
                stderr=log,
            )
        wait_until(self.answers, f"an answer of {self.address}")

    def command(self, *words):
        """Return what the server says to a command, as redis-cli prints it."""
        done = subprocess.run(
            ["redis-cli", *self.tls, "-p", str(self.port), *map(str, words)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        return done.stdout.strip()

    def answers(self):
        if self.process.poll() is not None:
            raise OSError(f"redis-server ended: {(self.folder / 'log').read_text()[-500:]}")
        said = self.command("ping")
        return said == "PONG" or said.startswith(("NOAUTH", "LOADING"))

    def kill(self):
        """SIGKILL: no goodbye to clients or replicas."""
        self.process.kill()
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        if self.process.poll() is None:
            self.resume()
            self.kill()


class Cluster:
    """Primaries with ``replicas`` each, on loopback; ready when all replicas are in step."""

    def __init__(self, folder, primaries=3, replicas=1, *, tls=None, **options):
        settings = {
            "cluster_enabled": "yes",
            "cluster_config_file": "nodes.conf",
            "cluster_node_timeout": 2000,
            "cluster_require_full_coverage": "no",
            "cluster_allow_reads_when_down": "yes",
            "repl_diskless_sync_delay": 0,
        }
        if tls is not None:
            settings |= {"tls_cluster": "yes", "tls_replication": "yes"}
        count = primaries * (1 + replicas)
        self.servers = [Server(folder, tls=tls, **settings | options) for _ in range(count)]
        subprocess.run(
            [
                "redis-cli",
                *self.servers[0].tls,
                "--cluster",
                "create",
                *self.nodes,
                "--cluster-replicas",
                str(replicas),
                "--cluster-yes",
            ],
            check=True,
            capture_output=True,
            timeout=PATIENCE,
        )
        self.wait_until_whole()

    @property
    def nodes(self):
        return [server.address for server in self.servers]

    def info(self, server):
        lines = server.command("info", "replication").splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def is_primary(self, server):
        return self.info(server).get("role") == "master"

    def primaries(self):
        return [server for server in self.running() if self.is_primary(server)]

    def running(self):
        return [server for server in self.servers if server.process.poll() is None]

    def replicas_of(self, primary):
        return [s for s in self.running() if self.info(s).get("master_port") == str(primary.port)]

    def owner(self, key):
        """Return the primary that serves a key."""
        slot = int(self.running()[0].command("cluster", "keyslot", key))
        for server in self.primaries():
            for line in server.command("cluster", "nodes").splitlines():
                fields = line.split()
                if "myself" in fields[2] and any(holds(span, slot) for span in fields[8:]):
                    return server
        raise LookupError(f"nobody serves slot {slot}")

    def is_whole(self):
        return all(
            "cluster_state:ok" in server.command("cluster", "info")
            and (self.is_primary(server) or self.info(server).get("master_link_status") == "up")
            for server in self.running()
        )

    def wait_until_whole(self):
        wait_until(self.is_whole, "the cluster coming together")

    def close(self):
        for server in self.servers:
            server.close()


def holds(span, slot):
    """Say whether a range of slots, as CLUSTER NODES writes it, holds one."""
    if span.startswith("["):
        return False  # on its way from or to another node
    first, _, last = span.partition("-")
    return int(first) <= slot <= int(last or first)
