"""The ring of a segment, for programs that read or write a segment themselves.

These functions keep to the order of shm-comm 1.0.0, without the protection of the classes of this package: a reader
that is overtaken reads a torn message. There may be one writer.
"""

import logging
import struct
import time
from typing import Any

import numpy as np

from shmcomm.compat import _segment as shared_memory
from shmcomm.compat.core import (
    HEADER_SIZE,
    IDX_DROP_COUNT,
    IDX_HEAD,
    IDX_MSG_COUNT,
    IDX_NUM_SLOTS,
    IDX_SLOT_SIZE,
    IDX_TAIL,
    SLOT_PREFIX_SIZE,
    get_header,
)
from shmcomm.compat.exceptions import SHMBufferFullError, SHMSerializationError as SHMSerializationError

logger = logging.getLogger("shmcomm.buffer")

_SIZE_STRUCT = struct.Struct("<I")


def _too_long(size: int, capacity: int) -> ValueError:
    """Returns the error for a message that is longer than a slot."""
    return ValueError(
        f"Payload size {size} exceeds slot capacity {capacity}. Increase slot_size when creating the channel."
    )


def _full(segment: str, timeout: float) -> SHMBufferFullError:
    """Returns the error for a ring that stayed full."""
    return SHMBufferFullError(f"Ring buffer full for segment '{segment}' after {timeout:.3f}s; could not write message.")


def _slot_offset(slot_index: int, slot_size: int) -> int:
    """Returns the offset of a slot in bytes."""
    return HEADER_SIZE + slot_index * slot_size


def _write_slot(shm: shared_memory.SharedMemory, slot_index: int, slot_size: int, payload: bytes) -> None:
    """Writes the length and the bytes of a message to a slot. Moves no index."""
    offset = _slot_offset(slot_index, slot_size)
    _SIZE_STRUCT.pack_into(shm.buf, offset, len(payload))
    start = offset + SLOT_PREFIX_SIZE
    shm.buf[start : start + len(payload)] = payload


def _read_slot(shm: shared_memory.SharedMemory, slot_index: int, slot_size: int) -> bytes:
    """Returns the message of a slot."""
    offset = _slot_offset(slot_index, slot_size)
    (length,) = _SIZE_STRUCT.unpack_from(shm.buf, offset)
    start = offset + SLOT_PREFIX_SIZE
    return bytes(shm.buf[start : start + length])


def write_message(
    shm: shared_memory.SharedMemory,
    payload: bytes,
    *,
    block: bool = False,
    timeout: float | None = None,
    overwrite: bool = False,
) -> bool:
    """Writes a message to the next slot.

    Args:
        shm:       The segment.
        payload:   At most ``slot_size - 4`` bytes.
        block:     Waits for a free slot.
        timeout:   Seconds of that wait; ``None`` waits forever.
        overwrite: Overwrites the oldest message instead, as publishers do.

    Returns:
        ``False`` if all slots are full and the call may neither wait nor overwrite; ``drop_count`` counts that.

    Raises:
        ValueError: *payload* is longer than a slot.
        SHMBufferFullError: No slot got free within *timeout*.
    """
    header = get_header(shm)
    num_slots, slot_size = int(header[IDX_NUM_SLOTS]), int(header[IDX_SLOT_SIZE])
    capacity = slot_size - SLOT_PREFIX_SIZE
    if len(payload) > capacity:
        raise _too_long(len(payload), capacity)
    deadline = None if timeout is None else time.monotonic() + timeout
    while not overwrite and (int(header[IDX_HEAD]) + 1) % num_slots == int(header[IDX_TAIL]):
        if not block:
            header[IDX_DROP_COUNT] += 1
            return False
        if deadline is not None and timeout is not None and time.monotonic() >= deadline:
            raise _full(shm.name, timeout)
        time.sleep(0.000_050)
    head = int(header[IDX_HEAD])
    next_head = (head + 1) % num_slots
    _write_slot(shm, head, slot_size, payload)
    header[IDX_HEAD] = np.int64(next_head)
    header[IDX_MSG_COUNT] += 1
    logger.debug("Wrote %d bytes to slot %d (head→%d)", len(payload), head, next_head)
    return True


def read_message_spsc(shm: shared_memory.SharedMemory, local_tail: int) -> tuple[bytes, int] | None:
    """Returns the message of slot *local_tail* and the next value of *local_tail*, or ``None`` if there is none."""
    header = get_header(shm)
    if local_tail == int(header[IDX_HEAD]):
        return None
    payload = _read_slot(shm, local_tail, int(header[IDX_SLOT_SIZE]))
    new_tail = (local_tail + 1) % int(header[IDX_NUM_SLOTS])
    logger.debug("Read %d bytes from slot %d (tail→%d)", len(payload), local_tail, new_tail)
    return payload, new_tail


def read_message_shared_tail(shm: shared_memory.SharedMemory) -> bytes | None:
    """Returns the message of the tail that all readers share, and moves the tail. ``None`` if there is none.

    The caller holds the :class:`~shmcomm.compat.sync.FileLock` of the segment.
    """
    header = get_header(shm)
    tail = int(header[IDX_TAIL])
    if tail == int(header[IDX_HEAD]):
        return None
    payload = _read_slot(shm, tail, int(header[IDX_SLOT_SIZE]))
    header[IDX_TAIL] = np.int64((tail + 1) % int(header[IDX_NUM_SLOTS]))
    logger.debug("Claimed slot %d via shared tail", tail)
    return payload


def get_stats(shm: shared_memory.SharedMemory) -> dict[str, Any]:
    """Returns the counts of a segment: ``head``, ``tail``, ``num_slots``, ``slot_size``, ``msg_count``,
    ``drop_count``, ``used_slots``, ``free_slots``.
    """
    header = get_header(shm)
    head, tail, num_slots = int(header[IDX_HEAD]), int(header[IDX_TAIL]), int(header[IDX_NUM_SLOTS])
    used = (head - tail) % num_slots
    return {
        "head": head,
        "tail": tail,
        "num_slots": num_slots,
        "slot_size": int(header[IDX_SLOT_SIZE]),
        "msg_count": int(header[IDX_MSG_COUNT]),
        "drop_count": int(header[IDX_DROP_COUNT]),
        "used_slots": used,
        "free_slots": num_slots - used - 1,
    }
