import asyncio
import threading
from concurrent.futures import wait

from flat import insist_flat

from perfcore.workers import QueueFullError, WorkerPool


def fail(payload):
    raise ValueError(payload)


def nested(pool, payload):
    return pool.submit(len, payload).result()


def step():
    for _ in range(10):
        with WorkerPool(min=1, max=3, queues={"normal": 50, "low": 5}, when_full="drop_low") as pool:
            payload = bytes(20_000)
            tasks = [pool.submit(len, bytes(20_000), priority="low") for _ in range(20)]  # some are dropped
            tasks += [pool.submit(fail, bytes(20_000)) for _ in range(10)]
            tasks += [pool.submit(nested, pool, bytes(20_000)) for _ in range(10)]
            tasks += [pool.submit(len, bytes(20_000), deadline=0) for _ in range(5)]
            for task in tasks[::3]:
                task.add_done_callback(lambda task, payload=payload: None)
                task.cancel()
            wait(tasks)
            list(pool.map(len, [payload] * 500))
            asyncio.run(pool.run(len, payload))
            pool.resize(1, 2)
        unused = WorkerPool(min=1, max=1, when_full="raise", queues={"normal": 1})
        go = threading.Event()
        unused.submit(go.wait)
        try:
            for _ in range(3):
                unused.submit(len, bytes(20_000))
        except QueueFullError:
            pass
        unused.close(timeout=0)  # and is given up on
        go.set()


insist_flat(step)
