"""A manager that is forked: child and parent hear of each other through the server, as any two processes."""

import os
import signal

from redis_servers import wait_until

from perfcore.cache import CacheManager


def test_a_forked_child_and_its_parent_hear_of_each_others_changes(server):
    options = {"url": server.url, "prefix": "forks", "timeout": 5, "behind": False}
    with CacheManager(remote=options) as manager:
        manager.set("one", 1)
        manager.set("two", 2)
        ready, told = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                signal.alarm(60)
                assert manager.get("two") == 2
                manager.delete("one")
                os.write(ready[1], b"x")
                os.read(told[0], 1)
                wait_until(lambda: manager.get("two") is None, "the child hearing of the parent")
                code = 0
            finally:
                os._exit(code)
        os.read(ready[0], 1)
        wait_until(lambda: manager.get("one") is None, "the parent hearing of the child")
        manager.delete("two")
        os.write(told[1], b"x")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
