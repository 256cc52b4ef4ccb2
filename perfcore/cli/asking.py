"""Asks a server of :meth:`.PerformanceManager.serve` what it has seen."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import msgspec

from perfcore.errors import PerfcoreError

__all__ = ["ServerAt"]

_TIMEOUT = 5.0
_LARGEST = 64 * 2**20
_SCHEMA = "perfcore.live/"


class ServerAt:
    """A server by its address; no proxy is asked and no redirection followed, so a token goes nowhere else.

    Raises ValueError for what is no address of a server.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an address is http://host:port/, or host:port")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("an address has neither user, query nor fragment")
        self._make = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._port = parts.hostname, parts.port
        self._path = parts.path.rstrip("/") + "/"
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self.name = f"{parts.scheme}://{parts.netloc}{self._path}"

    def live(self) -> tuple[bytes, dict[str, Any]]:
        """Return what it has seen, as it came and as data; :exc:`PerfcoreError` says why it cannot be had."""
        connection = self._make(self._host, self._port, timeout=_TIMEOUT)
        try:
            connection.request("GET", f"{self._path}live.json", headers=self._headers)
            return self._read(connection.getresponse())
        except OSError as error:
            reason = error.strerror or str(error) or type(error).__name__
            raise PerfcoreError(f"{self.name} cannot be reached: {reason}") from None
        except (HTTPException, msgspec.DecodeError, UnicodeError):
            raise PerfcoreError(f"what answers at {self.name} is no perfcore server") from None
        finally:
            connection.close()

    def _read(self, response: HTTPResponse) -> tuple[bytes, dict[str, Any]]:
        if response.status == 401:
            problem = (
                "that is not its token" if self._headers else "it needs a token: PERFCORE_TOKEN or --token"
            )
            raise PerfcoreError(f"{self.name}: {problem}")
        if response.status != 200:
            raise PerfcoreError(f"{self.name} answers {response.status} {response.reason}")
        body = response.read(_LARGEST)
        form = msgspec.json.decode(body)
        if not (isinstance(form, dict) and str(form.get("schema", "")).startswith(_SCHEMA)):
            raise PerfcoreError(f"what answers at {self.name} is no perfcore server")
        return body, form
