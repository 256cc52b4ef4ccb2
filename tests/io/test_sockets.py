"""Sockets that read into pooled buffers: what comes is what was sent, and every buffer goes back."""

import asyncio
import os
import socket
import struct
import threading

import pytest

from perfcore._native.buffers import BufferPool
from perfcore.io import Receiver, receive_exactly

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def pair():
    here, there = socket.socketpair()
    with here, there:
        yield here, there


def send(sock, content):
    def run():
        sock.sendall(content)
        sock.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_what_comes_is_what_was_sent_and_the_buffer_grows_with_it(pair):
    here, there = pair
    pool, content = BufferPool(), os.urandom(3_000_000)
    thread = send(there, content)
    with Receiver(here, pool, size=1024) as receiver:
        assert b"".join(map(bytes, receiver)) == content
        stats = receiver.stats()
    thread.join()
    assert stats.bytes == len(content) and stats.size > 1024 and stats.calls < len(content) / 1024
    assert pool.stats().in_use == 0


def test_a_buffer_for_much_becomes_smaller_when_little_comes(pair):
    here, there = pair
    with Receiver(here, BufferPool(), size=1 << 18) as receiver:
        for _ in range(60):
            there.sendall(b"few")
            assert receiver.receive() == b"few"
        assert receiver.stats().size == 4096


def test_a_view_is_valid_until_the_next_call_and_the_receiver_until_it_is_closed(pair):
    here, there = pair
    pool = BufferPool()
    receiver = Receiver(here, pool)
    there.sendall(b"one")
    view = receiver.receive()
    there.sendall(b"two")
    assert receiver.receive() == b"two"
    with pytest.raises(ValueError, match="released"):
        bytes(view)
    receiver.close()
    receiver.close()
    with pytest.raises(ValueError, match="closed"):
        receiver.receive()
    assert pool.stats().in_use == 0
    with pytest.raises(ValueError, match="size"):
        Receiver(here, pool, size=0)


def test_an_error_of_the_socket_is_its_own(pair):
    here, _ = pair
    here.settimeout(0.01)
    with Receiver(here, BufferPool()) as receiver, pytest.raises(TimeoutError):
        receiver.receive()


async def test_coroutines_receive_without_holding_up_the_loop(pair):
    here, there = pair
    here.setblocking(False)
    pool = BufferPool()
    with Receiver(here, pool) as receiver:
        waiting = asyncio.create_task(receiver.areceive())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        there.sendall(b"late")
        assert bytes(await waiting) == b"late"
        there.shutdown(socket.SHUT_WR)
        assert bytes(await receiver.areceive()) == b""
    assert pool.stats().in_use == 0


@pytest.mark.parametrize("how", ["receive", "areceive"])
async def test_a_connection_that_is_reset_is_an_error_and_leaves_no_buffer(how):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = socket.create_connection(listener.getsockname())
        there, _ = listener.accept()
    here.setblocking(how == "receive")
    pool = BufferPool()
    with here, Receiver(here, pool) as receiver:
        linger = struct.pack("ii", 1, 0)  # closing it resets the connection
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        there.close()
        with pytest.raises(ConnectionResetError):
            if how == "receive":
                receiver.receive()
            else:
                await receiver.areceive()
    assert pool.stats().in_use == 0


def test_so_many_bytes_and_no_fewer(pair):
    here, there = pair
    pool, content = BufferPool(), os.urandom(500_000)
    thread = send(there, content)
    with receive_exactly(here, 400_000, pool) as message:
        assert message == content[:400_000]
    with (
        pytest.raises(EOFError, match="100000 of 200000 bytes"),
        receive_exactly(here, 200_000, pool),
    ):
        pass
    thread.join()
    assert pool.stats().in_use == 0
