"""Segments: listed, cleaned and removed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from . import _logging, _native


@dataclass(frozen=True)
class Participant:
    """A participant of a channel. Every field except :attr:`alive` is a statement of the participant itself."""

    #: Process id, in the process's own pid namespace.
    process: int
    #: Short name of the process.
    name: str
    #: ``"publisher"``, ``"subscriber"``, ``"pusher"``, ``"puller"``, ``"requester"`` or ``"replier"``.
    role: str
    #: ``True`` if it lives, according to the kernel.
    alive: bool


@dataclass(frozen=True)
class SegmentInfo:
    """A segment of this user, as :func:`list_segments` found it."""

    #: Full name of the channel, with its namespace.
    channel: str
    #: Version of the format: 2, or 1 for the channels of shm-comm.
    version: int
    #: Path of the file.
    path: str
    #: Group of users that share the channel; ``None`` if it is private.
    group: str | None
    #: Size of the file in bytes.
    size: int
    #: Reason why the file is not a usable segment. All following fields are empty then.
    problem: str | None
    #: ``True`` if no participant is alive.
    stale: bool
    #: ``"publish/subscribe"``, ``"push/pull"``, ``"request/reply"`` or ``"table"``.
    pattern: str
    #: ``"fixed layout"``, ``"msgpack"``, ``"pickle"``, ``"raw bytes"`` or ``"header and tail"``.
    codec: str
    #: Number of slots.
    slots: int
    #: Largest size of a message in bytes.
    slot_size: int
    #: Largest size in bytes to which the slots may grow; 0 if they do not grow.
    grow: int
    #: Number of times that the slots have grown.
    growths: int
    #: Largest number of participants at a time.
    seats: int
    #: Fingerprint of the message, the request, or the header.
    fingerprint: int
    #: JSON array of the layouts of the messages.
    schema: str
    #: Time of creation, in seconds since the Unix epoch.
    created: float
    #: Messages sent since the creation.
    messages: int
    #: Payload bytes sent since the creation; 0 for version 1.
    bytes: int
    #: Positions that carry no message.
    holes: int
    #: Largest number of publishers at a time.
    publishers: int
    #: ``True`` if the publisher waits for its subscribers.
    waits: bool
    #: Jobs that would be lost with the segment: accepted and not finished.
    queued_work: int
    #: Participants that are attached, or died while they were. Empty for version 1.
    participants: tuple[Participant, ...] = field(default=())


@dataclass(frozen=True)
class Cleanup:
    """Result of :func:`clean`."""

    #: The removed segments, as they were before.
    removed: tuple[SegmentInfo, ...]
    #: The other segments of the namespace, each with the reason why it was not removed.
    spared: tuple[tuple[SegmentInfo, str], ...]


def _info(facts: dict[str, Any]) -> SegmentInfo:
    participants = tuple(Participant(**one) for one in facts.pop("participants"))
    return SegmentInfo(**facts, participants=participants)


def list_segments(namespace: str | None = None) -> list[SegmentInfo]:
    """Returns the segments of this user, sorted by channel. Does not wait, and changes nothing.

    Args:
        namespace: Only channels whose full name starts with *namespace* and ``/``. ``None`` lists all channels, also
            those of shm-comm.

    Raises:
        SetUpError: The directory cannot be read, or no channel can have that namespace.

    >>> [segment.channel for segment in list_segments("doc-list")]
    []
    """
    _logging.follow()
    return [_info(facts) for facts in _native.list_segments(namespace)]


def clean(namespace: str = "") -> Cleanup:
    """Removes the segments of a namespace that no process uses, and returns what it removed and what it spared.

    The empty namespace contains every channel of this user. A queue with unfinished jobs stays.

    >>> clean("doc-clean").removed
    ()
    """
    _logging.follow()
    removed, spared = _native.clean(namespace)
    return Cleanup(
        tuple(_info(facts) for facts in removed), tuple((_info(facts), reason) for facts, reason in spared)
    )


def force_unlink(channel: str) -> bool:
    """Removes the segment of a channel, whichever processes use it, with all its messages and jobs.

    Returns:
        ``False`` if there is none.

    >>> force_unlink("doc-no-such-channel")
    False
    """
    _logging.follow()
    return _native.force_unlink(channel)
