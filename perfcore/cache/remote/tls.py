"""What connections under TLS share: one context, made before the first call and not by each connection.

Making one reads the system's certificates, 20 to 160 ms that no deadline can cut; client libraries do so for
every connection, which is most of what a call may take (0.25 s) when all connections are made again at once.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from perfcore.errors import ConfigError

__all__ = ["Tls", "verifies"]

_FILES: Final = ("ssl_keyfile", "ssl_certfile", "ssl_ca_certs")
#: What a context is made of here. With others (OCSP, flags) the library makes its own, for each connection.
_KNOWN: Final = {
    *_FILES,
    *("ssl_password", "ssl_cert_reqs", "ssl_ca_path", "ssl_ca_data"),
    *("ssl_check_hostname", "ssl_min_version", "ssl_ciphers"),
}
_MODES: Final[dict[object, ssl.VerifyMode]] = {
    **dict.fromkeys((None, "none", ssl.CERT_NONE), ssl.CERT_NONE),
    **dict.fromkeys(("optional", ssl.CERT_OPTIONAL), ssl.CERT_OPTIONAL),
    **dict.fromkeys(("required", ssl.CERT_REQUIRED), ssl.CERT_REQUIRED),
}


def verifies(options: Mapping[str, Any]) -> bool:
    """Say whether certificates are looked at."""
    return _mode(options) != ssl.CERT_NONE


class Tls:
    """The context for options of redis-py's names (``ssl_ca_certs`` ...); made again when their files change.

    Raises :exc:`ConfigError` for options of which no context can be made.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        given = {name for name, value in options.items() if name.startswith("ssl_") and value}
        self._options = dict(options)
        self._shared = given <= _KNOWN
        try:
            self._seen = self._stamps()
            self._context = self._make()
        except (OSError, ValueError, TypeError) as error:  # SSLError is an OSError
            raise ConfigError(
                f"connection: no TLS with these options: {type(error).__name__}: {error}"
            ) from None

    def context(self) -> ssl.SSLContext | None:
        """Return the context to wrap sockets with, None when the library has to make it."""
        if not self._shared:
            return None
        try:
            stamps = self._stamps()
            if stamps != self._seen:
                self._context, self._seen = self._make(), stamps
        except (OSError, ValueError):  # files in the middle of being replaced: those of before still hold
            pass
        return self._context

    def _stamps(self) -> list[tuple[int, int, int]]:
        found = (Path(self._options[name]).stat() for name in _FILES if self._options.get(name))
        return [(status.st_mtime_ns, status.st_size, status.st_ino) for status in found]

    def _make(self) -> ssl.SSLContext:
        get = self._options.get
        context = ssl.create_default_context()
        context.check_hostname = bool(get("ssl_check_hostname", True)) and verifies(self._options)
        context.verify_mode = _mode(self._options)
        context.minimum_version = get("ssl_min_version") or ssl.TLSVersion.TLSv1_2
        certificate = get("ssl_certfile") or get("ssl_keyfile")
        if certificate:
            context.load_cert_chain(certificate, get("ssl_keyfile"), get("ssl_password"))
        trusted = get("ssl_ca_certs"), get("ssl_ca_path"), get("ssl_ca_data")
        if any(trusted):
            context.load_verify_locations(*trusted)
        if ciphers := get("ssl_ciphers"):
            context.set_ciphers(ciphers)
        return context


def _mode(options: Mapping[str, Any]) -> ssl.VerifyMode:
    mode = options.get("ssl_cert_reqs", "required")
    if mode not in _MODES:
        raise ConfigError(f"connection: ssl_cert_reqs: expected none, optional or required, got {mode!r}")
    return _MODES[mode]
