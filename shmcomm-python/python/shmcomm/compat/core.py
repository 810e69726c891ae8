"""Segments of the format of shm-comm 1.0.0, byte by byte.

Only programs that read or write a segment themselves need this module: the classes of this package have their own
segments. All words of the header are little-endian 64-bit integers.
"""

import logging
import struct as struct
import time

import numpy as np
import numpy.typing as npt

from shmcomm.compat import _segment as shared_memory
from shmcomm.compat.exceptions import SHMConnectionError

logger = logging.getLogger("shmcomm.core")

MAGIC: int = 0x53484D434F4D4D31
VERSION: int = 1
#: Bytes of the header.
HEADER_SIZE: int = 128

_IDX_MAGIC = 0
_IDX_VERSION = 1
_IDX_HEAD = 2
_IDX_TAIL = 3
_IDX_MSG_COUNT = 4
_IDX_DROP_COUNT = 5
_IDX_NUM_SLOTS = 6
_IDX_SLOT_SIZE = 7

#: Bytes of the length at the start of a slot.
SLOT_PREFIX_SIZE: int = 4

IDX_HEAD = _IDX_HEAD
IDX_TAIL = _IDX_TAIL
IDX_MSG_COUNT = _IDX_MSG_COUNT
IDX_DROP_COUNT = _IDX_DROP_COUNT
IDX_NUM_SLOTS = _IDX_NUM_SLOTS
IDX_SLOT_SIZE = _IDX_SLOT_SIZE


def segment_size(num_slots: int, slot_size: int) -> int:
    """Returns the bytes of a segment.

    >>> segment_size(64, 4096)
    262272
    """
    return HEADER_SIZE + num_slots * slot_size


def _make_header_array(shm: shared_memory.SharedMemory) -> npt.NDArray[np.int64]:
    """Returns the 16 words of the header as an array that refers to the segment."""
    return np.ndarray((16,), dtype="<i8", buffer=shm.buf, offset=0)


def _init_header(shm: shared_memory.SharedMemory, num_slots: int, slot_size: int) -> None:
    """Writes the header of a new segment. The magic comes last, so that no process attaches to half a header."""
    header = _make_header_array(shm)
    header[_IDX_VERSION] = VERSION
    header[_IDX_HEAD : _IDX_DROP_COUNT + 1] = 0
    header[_IDX_NUM_SLOTS] = num_slots
    header[_IDX_SLOT_SIZE] = slot_size
    header[_IDX_MAGIC] = MAGIC
    logger.debug(
        "Header initialised: num_slots=%d slot_size=%d total=%d", num_slots, slot_size, segment_size(num_slots, slot_size)
    )


def _validate_header(shm: shared_memory.SharedMemory) -> None:
    """Raises :class:`SHMConnectionError` if the segment has another magic number or version."""
    header = _make_header_array(shm)
    if header[_IDX_MAGIC] != MAGIC:
        raise SHMConnectionError(
            f"Shared memory '{shm.name}' has invalid magic 0x{header[_IDX_MAGIC]:016X} (expected 0x{MAGIC:016X}). "
            "Are you connecting to the right segment?"
        )
    if header[_IDX_VERSION] != VERSION:
        raise SHMConnectionError(
            f"Shared memory '{shm.name}' has version {header[_IDX_VERSION]} but this library expects version {VERSION}."
        )


def create_segment(name: str, num_slots: int, slot_size: int) -> shared_memory.SharedMemory:
    """Creates a segment and writes its header. A segment that has the name loses it.

    Raises:
        SHMConnectionError: The system refuses the segment.
    """
    size = segment_size(num_slots, slot_size)
    try:
        # Opened before it is removed: by that, an owner in Rust recognises its successor.
        stale = shared_memory.SharedMemory(name=name, create=False)
        stale.close()
        stale.unlink()
        logger.debug("Removed stale shared memory segment '%s'", name)
    except FileNotFoundError:
        pass
    except Exception as exc:
        logger.debug("Could not clean stale segment '%s': %s", name, exc)
    try:
        shm = shared_memory.SharedMemory(name=name, create=True, size=size)
    except Exception as exc:
        raise SHMConnectionError(f"Failed to create shared memory '{name}' ({size} bytes): {exc}") from exc
    _init_header(shm, num_slots, slot_size)
    logger.info("Created shared memory segment '%s' (%d bytes)", name, size)
    return shm


def _unavailable(name: str, timeout: float, last: BaseException | None) -> SHMConnectionError:
    """Returns the error for a segment that did not appear."""
    return SHMConnectionError(
        f"Shared memory segment '{name}' did not appear within {timeout:.1f}s. "
        f"Is the publisher/server running? (Last error: {last})"
    )


def attach_segment(name: str, timeout: float = 5.0, poll_interval: float = 0.005) -> shared_memory.SharedMemory:
    """Attaches to a segment, and waits for it for at most *timeout* seconds. A timeout of 0 polls once.

    Raises:
        SHMConnectionError: The segment did not appear in time, or it is not one of this format.
    """
    deadline = time.monotonic() + timeout
    while True:
        last: Exception
        try:
            shm = shared_memory.SharedMemory(name=name, create=False)
            try:
                _validate_header(shm)
            except BaseException:
                shm.close()
                raise
            logger.info("Attached to shared memory segment '%s'", name)
            return shm
        except SHMConnectionError:
            raise
        except Exception as exc:
            last = exc
        if time.monotonic() >= deadline:
            raise _unavailable(name, timeout, last)
        time.sleep(poll_interval)


def close_segment(shm: shared_memory.SharedMemory, *, destroy: bool = False) -> None:
    """Closes a segment; with *destroy*, also removes its name. A refusal is a warning in the log."""
    try:
        shm.close()
        if destroy:
            shm.unlink()
            logger.info("Destroyed shared memory segment '%s'", shm.name)
        else:
            logger.debug("Closed shared memory segment '%s'", shm.name)
    except Exception as exc:
        logger.warning("Error closing segment '%s': %s", shm.name, exc)


def get_header(shm: shared_memory.SharedMemory) -> npt.NDArray[np.int64]:
    """Returns the 16 words of the header as an array that refers to the segment."""
    return _make_header_array(shm)
