"""Makes answers: at once what is at hand, in a thread for each kind of answer what takes longer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from perfcore.monitor.lanes import Lane
from perfcore.monitor.serve.access import Access
from perfcore.monitor.serve.once import Once
from perfcore.monitor.serve.request import Refused, Request
from perfcore.monitor.serve.response import Response, refusal
from perfcore.monitor.serve.routes import Resource, find
from perfcore.monitor.serve.share import Share

__all__ = ["Desk"]


class Desk:
    """Answers requests; raises nothing, whatever a resource does.

    What takes longer is handed to ``deliver`` with its ticket, from another thread; one kind that hangs holds
    up its own kind. ``room`` is how many requests of a kind may wait.
    """

    def __init__(
        self,
        resources: Mapping[str, Resource],
        access: Access,
        room: int,
        deliver: Callable[[Any, Request, Response], None],
        once: Once,
    ) -> None:
        self._resources, self._access = resources, access
        self._deliver, self._once = deliver, once
        slow = [path for path, resource in resources.items() if resource.slow]
        self._lanes = {path: Lane(f"serve{path}", self._work, room=room) for path in slow}
        self._shares: dict[str, Share] = {}

    def answer(self, request: Request, ticket: Any) -> tuple[Response, bool] | None:
        """Return the answer, and whether it is the last on its connection; None when it will be delivered."""
        try:
            resource = find(self._resources, self._access, request)
        except Refused as refused:
            return refusal(refused), refused.ends
        if resource.slow:
            self._lanes[request.path].put((ticket, request, resource))
            return None
        return self._made(request, resource), False

    def close(self) -> None:
        """Begin no more answers."""
        for lane in self._lanes.values():
            lane.close(0.0)

    def _work(self, job: tuple[Any, Request, Resource]) -> None:
        ticket, request, resource = job
        self._deliver(ticket, request, self._made(request, resource))
        if request.path not in self._shares:  # begun here, because it is of this thread's time
            self._shares[request.path] = Share()
        self._shares[request.path].pause()

    def _made(self, request: Request, resource: Resource) -> Response:
        try:
            return resource.make(request)
        except Refused as refused:
            return refusal(refused)
        except Exception as error:
            self._once.warn(f"answering {request.path}", error)
            return refusal(Refused(500, "this could not be answered; the log says why"))
