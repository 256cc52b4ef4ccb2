"""What tests of concurrent calls share: patience, clocks that stand still, and threads that report back."""

import threading
import time

PATIENCE = 60


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def pass_(self, seconds):
        self.now += seconds


def eventually(condition):
    """Wait until a condition holds; fail if it never does."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.001)


class Threads:
    """Calls in threads of their own: what each returned or raised, in order."""

    def __init__(self, *calls):
        self.results = [None] * len(calls)
        self._threads = [
            threading.Thread(target=self._run, args=(i, call), daemon=True) for i, call in enumerate(calls)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, i, call):
        try:
            self.results[i] = call()
        except BaseException as error:
            self.results[i] = error

    def join(self):
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "it hangs"
        return self.results


def flights_of(wrapped):
    """Return the flights under way of a cached function."""
    return wrapped.cache_info.__closure__[0].cell_contents.flights
