"""The file lock that the pullers of a channel share."""

import fcntl
import logging
import os
import sys
import tempfile
import time
from contextlib import contextmanager
from typing import Iterator

from shmcomm.compat.exceptions import SHMTimeoutError

logger = logging.getLogger("shmcomm.sync")

_IS_WINDOWS = sys.platform == "win32"


def _lock_dir() -> str:
    """Returns the directory of the lock files."""
    return tempfile.gettempdir()


def _lock_path(name: str) -> str:
    """Returns the path of a lock file."""
    safe = name.replace("/", "_").replace("\\", "_")
    return os.path.join(_lock_dir(), f"shmcomm_{safe}.lock")


class FileLock:
    """A lock between processes: ``flock`` on a file in the directory for temporary files.

    Args:
        name:    Name of the lock.
        timeout: Seconds that :meth:`acquire` waits unless it is told otherwise. ``None`` waits forever.
    """

    def __init__(self, name: str, timeout: float | None = None):
        self._path = _lock_path(name)
        self._timeout = timeout
        self._fd: int | None = None
        open(self._path, "a").close()

    def acquire(self, timeout: float | None = None) -> None:
        """Takes the lock.

        Raises:
            SHMTimeoutError: Another process held it until the time was over.
        """
        if timeout is None:
            timeout = self._timeout
        deadline = None if timeout is None else time.monotonic() + timeout
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        try:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    pass
                if deadline is not None and time.monotonic() >= deadline:
                    raise SHMTimeoutError(f"Could not acquire lock '{self._path}' within {timeout:.3f}s")
                time.sleep(0.000_050)
        except BaseException:
            os.close(file)
            raise
        self._fd = file

    def release(self) -> None:
        """Releases the lock, if this object holds it."""
        file, self._fd = self._fd, None
        if file is None:
            return
        try:
            fcntl.flock(file, fcntl.LOCK_UN)
        finally:
            os.close(file)

    def __enter__(self) -> "FileLock":
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


@contextmanager
def named_lock(name: str, timeout: float | None = None) -> Iterator[FileLock]:
    """Holds the :class:`FileLock` *name* for a block."""
    lock = FileLock(name, timeout=timeout)
    lock.acquire(timeout=timeout)
    try:
        yield lock
    finally:
        lock.release()
