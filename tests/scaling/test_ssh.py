"""A cluster over SSH: a real server on loopback, which runs what Dask asks it to run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from perfcore.scaling import CapacityError, DaskBackend, HorizontalScaler

PATIENCE = 60


@pytest.fixture
def ssh_port():
    """The port of an SSH server that lets anybody in."""
    script = Path(__file__).parent.parent / "ssh_server.py"
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as server:
        yield int(server.stdout.readline())


def test_machines_over_ssh_leave_and_come_back_and_there_are_no_others(ssh_port, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    options = {
        "connect_options": {"port": ssh_port, "known_hosts": None, "username": "anybody"},
        "worker_options": {"nthreads": 1, "dashboard": False, "host": "127.0.0.1"},
        "scheduler_options": {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"},
    }
    with DaskBackend.ssh(["127.0.0.1"] * 3, options=options, timeout=20) as backend:
        scaler = HorizontalScaler(backend)
        assert len(backend.nodes()) == 2
        assert backend.submit(os.getpid).result(PATIENCE) != os.getpid()
        assert scaler.scale_in(1).after == 1
        assert scaler.scale_out(2).after == 2
        with pytest.raises(CapacityError, match="3 nodes were asked for, the cluster was given 2"):
            scaler.scale_out(3)


def test_a_cluster_over_ssh_needs_two_hosts():
    with pytest.raises(ValueError, match="a host for the scheduler and one for workers"):
        DaskBackend.ssh(["one"])
