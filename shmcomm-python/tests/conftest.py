"""Names of channels, and the check that a test leaves no file behind."""

import glob
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from typing import Callable, Iterator

import pytest


def files(name: str) -> list[str]:
    """Returns the files of shared memory whose name contains *name*."""
    return [file for file in os.listdir("/dev/shm") if name in file]


@pytest.fixture
def name() -> Iterator[str]:
    """A name of a channel that no other test has. Fails if a file with the name is left."""
    name = f"pytest-{uuid.uuid4().hex[:12]}"
    yield name
    deadline = time.monotonic() + 2
    while files(name) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert files(name) == []
    # Pullers leave their lock file, as in shm-comm: another process may hold it.
    for lock in glob.glob(os.path.join(tempfile.gettempdir(), f"shmcomm_shmcomm_push_{name}*.lock")):
        os.unlink(lock)


class Process:
    """A Python program in a process of its own."""

    def __init__(self, code: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A background job of a shell ignores Ctrl-C, and so would its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def line(self) -> str:
        """Returns the next line of the program."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def say(self, text: str) -> None:
        """Gives the program a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def finish(self, timeout: float = 30) -> tuple[int, str, str]:
        """Waits for the end of the program. Returns its code, its output and its errors."""
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out, err


@pytest.fixture
def program() -> Iterator[Callable[..., Process]]:
    """Starts Python programs, and ends them with the test."""
    started: list[Process] = []

    def start(code: str, *arguments: str) -> Process:
        started.append(Process(code, *arguments))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


@pytest.fixture
def peer(name):
    """Starts roles of the Rust program."""
    program = os.environ.get("SHMCOMM_PEER", "")
    if not os.path.exists(program):
        if os.environ.get("CI") == "true":
            pytest.fail("SHMCOMM_PEER is not the program peer, and nothing is skipped in CI")
        pytest.skip("SHMCOMM_PEER is not the program peer: nothing is tested with Rust")
    started = []

    def start(role):
        one = subprocess.Popen([program, role, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(one)
        return one

    yield start
    for one in started:
        if one.poll() is None:
            one.kill()
        one.communicate()


def finished(program):
    """Checks that a role of the Rust program has succeeded."""
    out, err = program.communicate(timeout=30)
    assert program.returncode == 0, err
    assert out.endswith("done\n")
