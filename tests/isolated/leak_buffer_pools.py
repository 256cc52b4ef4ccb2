import threading

from flat import insist_flat

from perfcore._native.buffers import BufferPool


def step():
    for per_thread in (False, True):
        pool = BufferPool(_per_thread=per_thread, leak_sampling=1)

        def work(pool=pool):
            for i in range(1, 300):
                with pool.acquire(i * 1000) as buffer:
                    view = buffer.view(10)
                    view[0] = 1
                pool.acquire(i)  # leaks

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        work()
        for thread in threads:
            thread.join()
        pool.trim()


insist_flat(step)
