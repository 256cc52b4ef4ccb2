"""A client that sends what it likes, and reads answers as strictly as they should be written."""

import socket
from typing import NamedTuple


class Answer(NamedTuple):
    status: int
    fields: dict
    body: bytes


class Client:
    """A connection to a server of this process."""

    def __init__(self, server, *, buffer=None):
        self.socket = socket.socket()
        if buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(20)
        try:
            self.socket.connect(("127.0.0.1", server.port))
        except OSError:
            self.socket.close()
            raise
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode("latin-1"))
        return self

    def get(self, path="/healthz", *fields, method="GET"):
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *fields, "", ""]
        return self.send("\r\n".join(lines)).answer(head=method == "HEAD")

    def answer(self, head=False):
        """Read one answer; AssertionError when it is none."""
        while b"\r\n\r\n" not in self.received:
            self._more()
        start, self.received = self.received.split(b"\r\n\r\n", 1)
        line, *lines = start.decode("latin-1").split("\r\n")
        version, status, _ = line.split(" ", 2)
        assert version == "HTTP/1.1"
        fields = {name.lower(): value for name, value in (field.split(": ", 1) for field in lines)}
        assert len(fields) == len(lines)
        length = 0 if head else int(fields["content-length"])
        while len(self.received) < length:
            self._more()
        body, self.received = self.received[:length], self.received[length:]
        return Answer(int(status), fields, body)

    def _more(self):
        got = self.socket.recv(65536)
        assert got, f"the connection ended after {self.received!r}"
        self.received += got

    def ended(self):
        """Say whether the server has ended the connection, without having said more."""
        try:
            return self.received == b"" and self.socket.recv(1) == b""
        except ConnectionError:
            return True


def ask(server, path="/healthz", *fields, method="GET"):
    """Return the answer to one request on a connection of its own."""
    with Client(server) as client:
        return client.get(path, *fields, method=method)


def send(server, text):
    """Return the answer to these bytes; the server has then ended the connection."""
    with Client(server) as client:
        answer = client.send(text).answer()
        assert client.ended() and answer.fields["connection"] == "close"
        return answer
