"""Exceptions with the names of shm-comm 1.0.0."""

from shmcomm._compat_errors import (
    SHMBufferFullError,
    SHMConnectionError,
    SHMError,
    SHMSerializationError,
    SHMTimeoutError,
)

__all__ = ["SHMBufferFullError", "SHMConnectionError", "SHMError", "SHMSerializationError", "SHMTimeoutError"]
