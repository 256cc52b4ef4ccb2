import socket

from flat import insist_flat

from perfcore.monitor import MetricsServer, Sources

server = MetricsServer(Sources(), port=0, interval=0.1, history=1.0)
REQUESTS = [
    b"GET /live.json HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /metrics HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: elsewhere\r\n\r\n",
    b"nonsense\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: lo",
]


def step():
    for _ in range(20):
        for request in REQUESTS:
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.sendall(request)
                if not request.endswith(b"lo"):
                    assert client.recv(65536)


insist_flat(step)
