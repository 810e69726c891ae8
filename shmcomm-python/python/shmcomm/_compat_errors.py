"""The exceptions of :mod:`shmcomm.compat`.

They are defined outside of that package, so that there is one set of classes even if a program makes
``shmcomm.compat`` known as ``shm_comm`` and imports its modules under both names.
"""

from __future__ import annotations


class SHMError(Exception):
    """Base of all errors of this module."""


class SHMConnectionError(SHMError):
    """A segment could not be created, attached or used any longer."""


class SHMTimeoutError(SHMError):
    """A lock or a reply did not come in time."""


class SHMBufferFullError(SHMError):
    """All slots held messages until the timeout of a blocking send."""


class SHMSerializationError(SHMError):
    """A message could not be serialized or deserialized."""


for _class in (SHMError, SHMConnectionError, SHMTimeoutError, SHMBufferFullError, SHMSerializationError):
    _class.__module__ = "shmcomm.compat.exceptions"
