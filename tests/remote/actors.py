"""What other processes do in the tests of the remote tier: ``python actors.py NAME ARGUMENTS``."""

import sys
import time

from perfcore.cache import CacheManager


def manager(url, prefix, lease):
    return CacheManager(remote={"url": url, "prefix": prefix, "timeout": 5, "lease": float(lease)})


def compute_in_turn(url, prefix, lease, seconds):
    """For each key that comes in, say what was found and whether this process computed it."""
    with manager(url, prefix, lease) as one:
        print("ready", flush=True)
        for line in sys.stdin:
            computed = []

            def load(computed=computed):
                computed.append(1)
                print("computing", flush=True)
                time.sleep(float(seconds))
                return "value"

            found = one.get_or_set(line.strip(), load)
            print(found, len(computed), flush=True)


def set_and_end(url, prefix, how):
    """Set a value and end, without closing anything."""
    one = manager(url, prefix, 0)
    one.set("key", "last words")
    if how == "fork":
        import os

        if os.fork() == 0:
            os._exit(0)
        os.wait()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
