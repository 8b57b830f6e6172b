"""Servers of the tests: child processes that end with the test, however it ends, on free ports of 127.0.0.1."""

import os
import signal
import socket
import subprocess
import sys
import time
import traceback

SKIPPED = 77  # exit code of a visible skip

# A child that asks the kernel to be killed with its parent (prctl 1 is PR_SET_PDEATHSIG), then becomes what it should
# be.
_BOUND = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv.pop(1)):
    sys.exit(1)
"""


class Skip(Exception):
    """Something that this machine does not have; the message says what."""


def free_ports(count):
    """They were free a moment ago, which is the best one can know."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def start_python(python, program, *arguments, log, **options):
    """A child that runs `program`, Python source; standard output and error go to the file `log`."""
    with open(log, "ab") as out:
        return subprocess.Popen(
            [python, "-I", "-c", _BOUND + program, str(os.getpid()), *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, **options)


def wait_for_port(port, child, log, seconds=60):
    """Until somebody listens; a child that ends before is an error that shows its log."""
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if child.poll() is not None or time.monotonic() > end:
                with open(log, errors="replace") as file:
                    raise RuntimeError(f"no server on port {port}:\n" + file.read()[-4000:]) from None
            time.sleep(0.05)


def stop(children):
    for child in children:
        child.kill()
    for child in children:
        child.wait()


def serve_until_stopped(server):
    """For servers that are started by hand: prints the address, runs until SIGTERM or ^C."""
    with server:
        print(server.url, flush=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        try:
            signal.pause()
        except KeyboardInterrupt:
            pass


def main(run):
    """Runs a test; exit code 77 with the reason when it cannot be run here. SIGTERM, CTest's too, ends it in order."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        run()
    except Skip as reason:
        print(f"skipped: {reason}", flush=True)
        sys.exit(SKIPPED)
    except Exception:
        traceback.print_exc()
        sys.exit(1)
