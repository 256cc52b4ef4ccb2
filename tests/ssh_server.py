"""An SSH server that lets anybody in and runs what it is asked to; prints its port, ends with its input."""

import asyncio
import logging
import sys

import asyncssh

logging.disable(logging.CRITICAL)


class Anybody(asyncssh.SSHServer):
    def begin_auth(self, username):
        return False


async def run(process):
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_shell(f"exec {process.command}", stdout=pipe, stderr=pipe)
    listening = asyncio.ensure_future(signals(process, child))
    await asyncio.gather(copied(child.stdout, process.stdout), copied(child.stderr, process.stderr))
    process.exit(await child.wait())
    listening.cancel()


async def copied(source, sink):
    while data := await source.read(4096):
        sink.write(data)


async def signals(process, child):
    """End the child when the client asks for it or is gone; the end of its input means nothing."""
    try:
        await process.stdin.read()
    except (asyncssh.SignalReceived, asyncssh.DisconnectError):
        child.terminate()


async def main():
    key = asyncssh.generate_private_key("ssh-ed25519")
    options = {"server_factory": Anybody, "process_factory": run, "encoding": None}
    server = await asyncssh.listen("127.0.0.1", 0, server_host_keys=[key], **options)
    print(server.get_port(), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
