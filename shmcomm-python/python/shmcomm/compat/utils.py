"""Names of segments, waiting by polling, and the removal of segments."""

import logging
import os
import sys
import time
from typing import Any, Callable

from shmcomm import _native
from shmcomm.compat import _segment as shared_memory

logger = logging.getLogger("shmcomm.utils")

#: Prefixes of the files that belong to a channel.
_PREFIXES = ("shmcomm_pub_", "shmcomm_req_", "shmcomm_rep_", "shmcomm_push_")


def platform_name() -> str:
    """Returns the name of the system: ``"linux"``, ``"macos"``, ``"windows"``, or ``sys.platform``."""
    return {"linux": "linux", "darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)


def is_linux() -> bool:
    """Returns ``True`` on Linux."""
    return sys.platform == "linux"


def is_windows() -> bool:
    """Returns ``True`` on Windows."""
    return sys.platform == "win32"


def pub_segment_name(channel: str) -> str:
    """Returns the name of the segment of a publish/subscribe channel.

    >>> pub_segment_name("pose")
    'shmcomm_pub_pose'
    """
    return f"shmcomm_pub_{channel}"


def req_segment_name(channel: str) -> str:
    """Returns the name of the segment with the requests of a service."""
    return f"shmcomm_req_{channel}"


def rep_segment_name(channel: str) -> str:
    """Returns the name of the segment with the replies of a service."""
    return f"shmcomm_rep_{channel}"


def push_segment_name(channel: str) -> str:
    """Returns the name of the segment of a push/pull channel."""
    return f"shmcomm_push_{channel}"


def poll_until(check_fn: Callable[[], Any], timeout: float | None, poll_interval: float = 0.000_100) -> Any:
    """Calls *check_fn* until it returns something other than ``None`` and ``False``, and returns that.

    Args:
        check_fn:      Function without arguments.
        timeout:       Seconds. ``None`` waits forever; 0 calls *check_fn* once.
        poll_interval: Seconds between two calls.

    Returns:
        The result, or ``None`` if the time is over.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        result = check_fn()
        if result is not None and result is not False:
            return result
        if deadline is not None and time.monotonic() >= deadline:
            return None
        time.sleep(poll_interval)


def force_unlink(name: str) -> bool:
    """Removes the segment with the file name *name*, such as ``"shmcomm_pub_pose"``, whichever processes use it.

    Returns:
        ``True`` if the segment existed and was removed. Never raises: a refusal is a warning in the log.
    """
    try:
        if name.startswith(_PREFIXES):
            found = _native.force_unlink_wire(name)
        else:
            found = shared_memory.unlink(name)
    except FileNotFoundError:
        return False
    except Exception as exc:
        logger.warning("Could not unlink '%s': %s", name, exc)
        return False
    if found:
        logger.info("Force-unlinked segment '%s'", name)
    return found


def list_segments() -> list[str]:
    """Returns the names of the files in ``/dev/shm`` that start with ``shmcomm_``."""
    if not is_linux():
        logger.debug("list_segments() is only supported on Linux.")
        return []
    try:
        return [entry for entry in os.listdir("/dev/shm") if entry.startswith("shmcomm_")]
    except Exception as exc:
        logger.warning("Could not list /dev/shm: %s", exc)
        return []
