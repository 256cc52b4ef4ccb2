"""Wakes a thread that waits at a selector."""

from __future__ import annotations

import socket

__all__ = ["Bell"]


class Bell:
    """Something to wait for beside sockets; any thread may ring it, also when nobody listens any more."""

    def __init__(self) -> None:
        self._ear, self._clapper = socket.socketpair()
        self._ear.setblocking(False)
        self._clapper.setblocking(False)

    def fileno(self) -> int:
        """Return what a selector waits for."""
        return self._ear.fileno()

    def ring(self) -> None:
        """Wake who waits."""
        try:
            self._clapper.send(b"!")
        except OSError:  # full: it rings already; or closed
            pass

    def heard(self) -> None:
        """Stop it ringing."""
        try:
            self._ear.recv(4096)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Close it."""
        self._ear.close()
        self._clapper.close()
