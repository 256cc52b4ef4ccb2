"""Another size of a receiver's buffer is tried between its calls, and undone when it does not help."""

import asyncio
import gc
import os
import socket
import struct
import threading

import pytest

from perfcore.io import IOOptimizer, Receiver
from perfcore.io.trials import PAIRS

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(params=["pair", "tcp"])
def ends(request):
    if request.param == "pair":
        here, there = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as server:
            there = socket.create_connection(server.getsockname())
            here, _ = server.accept()
    with here, there:
        yield here, there


def flood(sock):
    def run():
        block = bytes(1 << 18)
        try:
            while True:
                sock.sendall(block)
        except OSError:
            pass

    thread = threading.Thread(target=run)
    thread.start()
    return thread


class Meter:
    """Clocks by which a sample takes what the size in use is said to take."""

    def __init__(self, costs):
        self.costs, self.now, self.receiver, self.open = costs, 0.0, None, False

    def __call__(self):
        if self.open:
            self.now += self.costs[self.receiver._size]
        self.open = not self.open
        return self.now, self.now


@pytest.mark.parametrize(("cost", "outcome"), [(0.5, "kept"), (0.99, "undone"), (2.0, "undone")])
def test_a_smaller_buffer_stays_only_where_it_was_measured_to_pay(ends, cost, outcome):
    here, there = ends
    meter = Meter({1 << 18: 1.0, 1 << 16: cost})
    optimizer = IOOptimizer(meter=meter)
    receiver = meter.receiver = optimizer.receiver(here, 1 << 18)
    receiver._settled = float(1 << 17)  # no size but those of the trial
    thread = flood(there)
    for _ in range(100):
        receiver.receive()
    optimizer._receivers._smaller[receiver] = True
    assert optimizer.optimize_network(0)[0].reason == f"0 of {2 * PAIRS} samples so far"
    sizes = set()
    while receiver._trial is not None:
        receiver.receive()
        sizes.add(receiver.stats().size)
    (step,) = optimizer.optimize_network(0)
    assert sizes == {1 << 16, 1 << 18} and step.outcome == outcome
    assert receiver.stats().size == (1 << 16 if outcome == "kept" else 1 << 18)
    here.close()
    there.close()
    thread.join()
    receiver.close()
    assert optimizer.pool.stats().in_use == 0


def test_under_real_load_from_another_thread_what_comes_stays_whole(ends):
    here, there = ends
    optimizer, content = IOOptimizer(), os.urandom(1 << 20) * 48
    sending = threading.Thread(target=lambda: (there.sendall(content), there.shutdown(socket.SHUT_WR)))
    got, receiver = bytearray(), optimizer.receiver(here)

    def receive():
        for view in receiver:
            got.extend(view)

    receiving = threading.Thread(target=receive)
    sending.start()
    receiving.start()
    steps = []
    while receiving.is_alive():
        steps += optimizer.optimize_network(0.01)
    sending.join()
    receiving.join()
    assert got == content and any("tried" in step.name for step in steps)
    optimizer.optimize_network(0)
    assert len(optimizer._receivers) == 0, "what has ended is forgotten"


async def test_coroutines_try_sizes_too(ends):
    here, there = ends
    here.setblocking(False)
    with IOOptimizer() as optimizer, optimizer.receiver(here) as receiver:
        thread = flood(there)
        for _ in range(100):
            await receiver.areceive()
        optimizer.optimize_network(0)
        while receiver._trial is not None:
            await receiver.areceive()
        (step,) = await asyncio.to_thread(optimizer.optimize_network)
        assert step.outcome in ("kept", "undone") and step.before > 0 and step.after > 0
        there.shutdown(socket.SHUT_RDWR)
        here.close()
        thread.join()


def test_what_is_closed_reset_or_collected_vanishes(ends):
    here, there = ends
    optimizer = IOOptimizer()
    receiver = optimizer.receiver(here)
    optimizer.watch(Receiver(there, optimizer.pool))
    gc.collect()
    assert len(optimizer._receivers) == 1
    if here.family == socket.AF_INET:
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        there.close()
        with pytest.raises(ConnectionResetError):
            receiver.receive()
    else:
        here.close()
    assert optimizer.optimize_network(0)[0].reason == "none is watched"
    assert len(optimizer._receivers) == 0


def test_a_forked_child_ends_the_trial_and_goes_on_receiving():
    here, there = socket.socketpair()
    with here, there, IOOptimizer() as optimizer, optimizer.receiver(here) as receiver:
        for _ in range(100):
            there.sendall(bytes(12_000))
            receiver.receive()
        optimizer.optimize_network(0)
        assert receiver._trial is not None
        child = os.fork()
        if not child:
            there.sendall(b"child")
            right = receiver.receive() == b"child" and receiver._trial is None
            os._exit(0 if right else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert receiver._trial is not None


def test_who_polls_in_vain_keeps_the_size():
    here, there = socket.socketpair()
    with here, there, Receiver(here, IOOptimizer().pool) as receiver:
        for _ in range(16):
            there.sendall(bytes(8000))
            receiver.receive()
        here.setblocking(False)
        for _ in range(5):
            with pytest.raises(BlockingIOError):
                receiver.receive()
        assert receiver.stats().size == 1 << 14
