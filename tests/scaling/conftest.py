"""One real cluster of processes on loopback for each file of tests, and quiet loggers of Dask."""

import logging

import pytest

from perfcore.scaling import DaskBackend, HorizontalScaler

NODES = 3


@pytest.fixture(scope="session", autouse=True)
def quiet():
    """Dask tells of each worker that goes, which is what these tests are about."""
    import distributed  # sets up its loggers

    for name in [name for name in logging.root.manager.loggerDict if name.startswith(distributed.__name__)]:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


@pytest.fixture(scope="module")
def shared():
    """The backend of a file; use :func:`backend`, which has all its nodes again for each test."""
    with DaskBackend.local(NODES, timeout=20, options={"silence_logs": logging.CRITICAL + 1}) as backend:
        yield backend


@pytest.fixture
def backend(shared):
    """A cluster of three processes with one thread each."""
    HorizontalScaler(shared).scale_out(NODES)
    return shared


@pytest.fixture
def scaler(backend):
    """A scaler of that cluster."""
    return HorizontalScaler(backend, max_nodes=NODES + 1, timeout=30, drain_timeout=30)
