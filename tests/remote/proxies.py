"""What stands between a cache and a server when the network is at fault: a proxy that delays or swallows."""

import contextlib
import selectors
import socket
import threading
import time


class Proxy:
    """Passes bytes between clients and ``port``.

    ``mode`` is "pass", "drop" (nothing arrives), "slow" (answers take ``delay``) or "mute" (what is published
    does not arrive).
    """

    def __init__(self, port, delay=1.0):
        self.mode, self._port, self._delay = "pass", port, delay
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def _accept(self):
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client):
        with contextlib.suppress(OSError), client, contextlib.ExitStack() as stack:
            server = stack.enter_context(socket.create_connection(("127.0.0.1", self._port)))
            ready = stack.enter_context(selectors.DefaultSelector())
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            listens = False
            while not self._closed:
                for key, _ in ready.select(0.05):
                    data = key.fileobj.recv(65536)
                    if not data:
                        return
                    if self.mode == "slow" and key.fileobj is server:
                        time.sleep(self._delay)
                    if key.fileobj is client:
                        listens = listens or b"SUBSCRIBE" in data
                    elif listens and self.mode == "mute" and b"message" in data:
                        continue
                    if self.mode != "drop":
                        key.data.sendall(data)

    def close(self):
        self._closed = True
        close(self._listener)


class Garbage:
    """A server that answers everything with ``answer``, on the port of one that has gone."""

    def __init__(self, port, answer):
        self.port, self._answer, self._clients = port, answer, []
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._clients.append(client)
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client):
        with contextlib.suppress(OSError), client:
            while client.recv(65536):
                client.sendall(self._answer)

    def close(self):
        for each in [self._listener, *self._clients]:
            close(each)


class Drip(Garbage):
    """A server that answers everything with ``answer`` and then with a byte every 20 ms, for ever."""

    def _talk(self, client):
        with contextlib.suppress(OSError), client:
            client.recv(65536)
            client.sendall(self._answer)
            while True:
                client.sendall(b"x")
                time.sleep(0.02)


def close(one):
    """Close a socket; closing alone does not wake who waits for it."""
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
