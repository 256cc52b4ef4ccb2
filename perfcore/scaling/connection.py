"""The connection to a scheduler: made, checked, watched, and said to be lost in time."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from threading import Event, Thread
from typing import Any

from perfcore.errors import MissingExtraError
from perfcore.scaling import versions
from perfcore.scaling.errors import ScalingError, SchedulerLostError

__all__ = ["Connection", "distributed"]


def distributed() -> Any:
    """Return the module ``distributed``; raises MissingExtraError without the extra ``dask``."""
    try:
        return import_module("distributed")
    except ImportError:
        raise MissingExtraError("distributed", "dask") from None


class Connection:
    """A client of a scheduler, which is :attr:`usable` or says :meth:`why` not.

    ``lost`` is told the reason once when the scheduler goes silent; when the connection breaks, Dask cancels
    its futures itself. ``hears`` gets the events of all workers.
    """

    def __init__(
        self, where: Any, address: str, timeout: float, lost: Callable[[str], None], hears: Callable[..., Any]
    ) -> None:
        self.address, self.timeout, self._lost = address, timeout, lost
        self._silent = ""
        self._closing = Event()
        self.client = self._connect(where, hears)
        Thread(target=self._watch, name="perfcore-scaling-watch", daemon=True).start()

    def _connect(self, where: Any, hears: Callable[..., Any]) -> Any:
        dask = distributed()
        versions.note_untested(dask.__version__)
        with warnings.catch_warnings():  # versions are compared below, and refused where they matter
            warnings.simplefilter("ignore")
            try:
                client = dask.Client(where, timeout=self.timeout, set_as_default=False)
            except (OSError, TimeoutError) as error:
                raise SchedulerLostError(
                    f"no scheduler answers at {self.address} within {self.timeout:g} s"
                ) from error
        try:
            versions.check(client.get_versions(packages=["perfcore"]))
            client.subscribe_topic("all", hears)
        except BaseException:
            client.close(timeout=self.timeout)
            raise
        return client

    def why(self) -> str:
        """Return why the scheduler cannot be used now; an empty string means that it can."""
        if self._closing.is_set():
            return "the backend is closed"
        return self._silent or ("" if self.client.status == "running" else "its connection was lost")

    def require(self) -> None:
        """Raise SchedulerLostError where the scheduler cannot be used."""
        reason = self.why()
        if reason:
            raise SchedulerLostError(f"the scheduler at {self.address} cannot be used: {reason}")

    def ask(self, what: Callable[..., Any], *args: Any, patience: float = 0.0, **kwargs: Any) -> Any:
        """Run a coroutine function on the client's loop and return what it returns.

        Raises SchedulerLostError when that takes ``patience`` seconds more than a scheduler may be silent.
        """
        self.require()
        limit = self.timeout + patience
        try:
            return self.client.sync(what, *args, callback_timeout=limit, **kwargs)
        except ScalingError:
            raise
        except (OSError, TimeoutError, RuntimeError) as error:
            raise SchedulerLostError(
                f"the scheduler at {self.address} does not answer within {limit:g} s: {error}"
            ) from error

    def _watch(self) -> None:
        """Notice a scheduler that is there and does not answer, in three quarters of the timeout."""
        client = self.client
        while not self._closing.wait(self.timeout / 4):
            if client.status != "running":
                self._lost("its connection was lost")  # what came after Dask had cancelled the rest
                continue
            try:
                client.sync(client.scheduler.identity, n_workers=0, callback_timeout=self.timeout / 2)
                self._silent = ""
            except Exception:
                if not self._closing.is_set():
                    self._silent = "it does not answer"
                    self._lost(self._silent)

    def close(self) -> None:
        """End the connection."""
        self._closing.set()
