"""Errors of the package: one class for each kind of failure, with the text of the library.

``except shmcomm.Error`` catches all of them. A class also has the built-in exception that fits, so that
``except TimeoutError`` works too.
"""

from __future__ import annotations

import builtins

__all__ = [
    "AccessError",
    "AlreadyPublishedError",
    "ChannelMismatchError",
    "BusyError",
    "ClosedError",
    "DisconnectedError",
    "Error",
    "ForkedError",
    "FullError",
    "InvalidGeometryError",
    "InvalidMessageError",
    "InvalidNameError",
    "LoanOpenError",
    "MessageTooLongError",
    "NoRequestError",
    "NoSeatError",
    "NoSpaceError",
    "NotASegmentError",
    "NotFoundError",
    "OperatingSystemError",
    "OperationError",
    "PeerDiedError",
    "ReplacedError",
    "SchemaError",
    "SetUpError",
    "StoppedError",
    "StreamEndedError",
    "TimeoutError",
    "TypeMismatchError",
    "UnknownKeyError",
    "UnsupportedError",
    "VersionError",
]


class Error(Exception):
    """Base of all errors of the package."""


class SetUpError(Error):
    """A channel could not be set up, listed or removed."""

    #: Full name of the channel, or of the segment if no channel is known.
    channel: str = ""


class NotFoundError(SetUpError):
    """No segment of that name appeared within the connect timeout."""


class InvalidNameError(SetUpError, ValueError):
    """The name of the channel, or the namespace, cannot be used."""


class InvalidGeometryError(SetUpError, ValueError):
    """The number or the size of slots, or the number of seats, cannot be used."""


class NotASegmentError(SetUpError):
    """A file of that name exists, but it is not a segment, or it is damaged."""


class VersionError(SetUpError):
    """The segment has another version of the format."""


class TypeMismatchError(SetUpError, TypeError):
    """The segment carries messages of another layout."""


class ChannelMismatchError(SetUpError):
    """The segment belongs to another pattern, codec or setting of the channel."""


class AlreadyPublishedError(SetUpError):
    """Another live publisher has the channel."""


class NoSeatError(SetUpError):
    """All seats for participants are taken."""


class AccessError(SetUpError, PermissionError):
    """The segment belongs to another user, or the system refused access."""


class NoSpaceError(SetUpError, OSError):
    """The file system for shared memory does not have enough free space."""


class UnsupportedError(SetUpError):
    """This operating system lacks a feature that the library needs."""


class OperatingSystemError(SetUpError, OSError):
    """Any other refusal of the operating system."""


class StoppedError(Error):
    """The end was stopped while it waited."""


class TimeoutError(Error, builtins.TimeoutError):
    """The time was over."""


class MessageTooLongError(Error, ValueError):
    """The message takes more bytes than a slot holds."""

    #: Bytes of the message.
    size: int = 0
    #: Payload bytes that a slot holds.
    capacity: int = 0


class InvalidMessageError(Error, ValueError):
    """A message is not a value of the type. The end skips it."""


class NoRequestError(Error):
    """There is no request to reply to, or no request that waits for a reply."""


class PeerDiedError(Error):
    """The process at the other end died or was restarted, and the reply will not come."""


class ReplacedError(Error):
    """Another publisher, pusher or replier has taken over the channel."""


class ClosedError(Error, ValueError):
    """The end was closed by this process."""


class ForkedError(Error):
    """The end was opened before ``fork``; open the channel again in the child."""


class DisconnectedError(Error, EOFError):
    """No publisher is alive, and no message is left."""


class StreamEndedError(DisconnectedError):
    """The replier has ended the stream of replies, and every reply was received."""


class SampleHeldError(Error, BufferError):
    """A message that this subscriber has borrowed is still in use, and a subscriber has one at a time."""


class LoanOpenError(Error, BufferError):
    """A loan of this publisher, a job of this puller or a stream of this requester is open: an end has one at a time."""


class FullError(Error):
    """No slot is free."""


class SchemaError(Error, ValueError):
    """A layout or a dtype cannot be the layout of a message."""


class UnknownKeyError(Error, LookupError):
    """The table has no such key. The text lists the keys that it has."""


class OperationError(Error):
    """Any other failure of an operation, such as a request that the replier dropped."""


class BusyError(OperationError):
    """Writers stored new values of a table during each attempt to load them, or another writer was stopped in a store."""
