"""Sends values of the standard library and of numpy there and back: NAME CODEC. Prints `ready`.

Reads expressions; each value is sent to a replier that answers with the same value, at the protocols 2 to 5 if the
codec is pickle. Prints `same` if equal objects of the same types come back, else what differs."""
import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import ipaddress
import math
import pathlib
import pickle
import sys
import uuid
import zoneinfo

import msgpack
import numpy as np

from shm_comm import Requester

name, codec = sys.argv[1:3]
fixed = lambda **span: datetime.timezone(datetime.timedelta(**span))


class Color(enum.Enum):
    RED = "red"
    PAIR = (1, 2)


class Level(enum.IntEnum):
    HIGH = 3


class Bits(enum.Flag):
    A = 1
    B = 2


class Outer:
    class Inner(enum.Enum):
        X = 1


@dataclasses.dataclass
class Point:
    x: object


class Slotted:
    __slots__ = ("x", "y")

    def __eq__(self, other):
        return (self.x, self.y) == (other.x, other.y)


def slotted(x, y):
    s = Slotted()
    s.x, s.y = x, y
    return s


Pair = collections.namedtuple("Pair", "left right")


def same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        if a.dtype != b.dtype or a.shape != b.shape or (a.flags.c_contiguous and not b.flags.c_contiguous):
            return False
        if a.dtype == object:
            return all(same(x, y) for x, y in zip(a.ravel(), b.ravel()))
        return a.tobytes() == b.tobytes() and b.flags.writeable
    if isinstance(a, float) and math.isnan(a):
        return math.isnan(b)
    if isinstance(a, decimal.Decimal):
        return str(a) == str(b)
    if isinstance(a, collections.deque):
        return a.maxlen == b.maxlen and same(list(a), list(b))
    if isinstance(a, collections.defaultdict) and a.default_factory is not b.default_factory:
        return False
    if isinstance(a, (datetime.datetime, datetime.time)):
        zones = (type(a.tzinfo), str(a.tzinfo), a.fold) == (type(b.tzinfo), str(b.tzinfo), b.fold)
        return zones and a.replace(tzinfo=None) == b.replace(tzinfo=None)
    if isinstance(a, array.array):
        return a.typecode == b.typecode and a == b
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


requester = Requester(name, timeout_connect=60.0, serialization=codec)
print("ready", flush=True)
for line in sys.stdin:
    sent = eval(line)
    if codec == "pickle":
        messages = [(protocol, pickle.dumps({"v": sent}, protocol)) for protocol in (2, 3, 4, 5)]
    else:
        messages = [("", msgpack.packb({"v": sent}, datetime=True))]
        if isinstance(sent, datetime.datetime):
            sent = msgpack.Timestamp.from_datetime(sent)
    wrong = []
    for protocol, message in messages:
        requester.send_bytes(message)
        back = requester.recv(timeout=30.0)
        back = back["v"] if isinstance(back, dict) else back
        want = sent
        if getattr(sent, "fold", 0) and protocol < 4:
            # Older protocols have no place for it.
            want = sent.replace(fold=0)
        if not same(want, back):
            wrong.append(f"{protocol}: {sent!r} came back as {back!r}")
    print("; ".join(wrong) or "same", flush=True)
