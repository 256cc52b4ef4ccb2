import threading

from flat import insist_flat

from perfcore.memory import ObjectPool


def step():
    for _ in range(20):
        pool = ObjectPool(lambda: [bytes(10_000)], max=3, max_age=100, leak_sampling=1)

        def work(pool=pool):
            for i in range(50):
                lease = pool.acquire(timeout=20)
                lease.value.append(lease)
                if i % 3 == 0:
                    lease.discard()
                elif i % 3 == 1:
                    lease.value.pop()
                    lease.release()
                else:
                    lease.value.pop()  # and the lease leaks
                del lease

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pool.shrink(0)


insist_flat(step)
