"""Writes seeds/: small messages as CPython writes them, one file for each kind of thing; layouts, messages of
fixed layout, names, and changes to segments."""

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import ipaddress
import json
import os
import pathlib
import pickle
import struct
import uuid
import zoneinfo

import msgpack
import numpy as np


@dataclasses.dataclass
class Point:
    x: float
    label: str


class Slotted:
    __slots__ = ("x",)


class Stack(list):
    pass


class Color(enum.Enum):
    RED = "red"


Pair = collections.namedtuple("Pair", "left right")
slotted = Slotted()
slotted.x = 1
row = [1, 2]
loop = []
loop.append(loop)

plain = {
    "dict": {"id": 7, "name": "arm", "x": 1.5, "ok": True, "note": None},
    "ints": [0, 255, 256, 65535, 65536, -1, 2**31, -(2**31), 2**63 - 1, -(2**63), 2**64 - 1],
    "floats": [0.0, -0.0, float("nan"), float("inf"), 1e300],
    "texts": ["", "ascii", "grün 語 🦀", "x" * 300],
    "bytes": [b"", b"\x00\xff", b"b" * 300],
    "nested": [[[[{"a": [1, {"b": [2]}]}]]]],
    "long": list(range(40)),
}
python = {
    "bigints": [2**64, -(2**64), 2**300],
    "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    "sets": [set(), {1, 2}, frozenset(), frozenset("ab")],
    "bytearray": bytearray(b"ab"),
    "complex": 1 + 2j,
    "shared": [row, row, {"again": row}],
    "cyclic": loop,
    "dataclass": [Point(1.0, "a"), Point(2.0, "b")],
    "slots": slotted,
    "namedtuple": Pair(1, "r"),
    "list_subclass": Stack([1, 2]),
    "ordered": collections.OrderedDict(a=1),
    "default": collections.defaultdict(list, a=[1]),
    "deque": collections.deque([1, 2], 5),
    "array_f8": np.arange(6.0).reshape(2, 3),
    "array_fortran": np.asfortranarray(np.arange(6, dtype="i4").reshape(2, 3)),
    "array_big_endian": np.arange(3, dtype=">f4"),
    "array_transposed": np.arange(8, dtype="u1").reshape(2, 2, 2).transpose(1, 0, 2),
    "array_strided": np.arange(6, dtype="i2")[::2],
    "array_bool": np.array([True, False]),
    "array_0d": np.array(1.5),
    "array_empty": np.zeros((0, 3)),
    "array_time": np.array(["2024-01-01"], dtype="M8[ns]"),
    "array_records": np.zeros(1, dtype=[("a", "f4"), ("b", "i4")]),
    "array_objects": np.array([1, None], dtype=object),
    "scalars": [np.float64(1.5), np.int32(-7), np.bool_(True), np.float16(2), np.complex64(1j)],
    "opaque": ValueError("x"),
    "datetimes": [datetime.datetime(2024, 1, 2, 3, 4, 5, 6), datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc),
                  datetime.datetime(2024, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC"), fold=1)],
    "dates": [datetime.date(2024, 1, 2), datetime.time(1, 2, 3, 4, datetime.timezone.utc), datetime.timedelta(-1, 2, 3)],
    "zones": [datetime.timezone(datetime.timedelta(hours=2), "X"), zoneinfo.ZoneInfo("UTC")],
    "numbers": [decimal.Decimal("1.50"), decimal.Decimal("NaN"), fractions.Fraction(-1, 3)],
    "names": [uuid.UUID(int=5), pathlib.PurePosixPath("/a/b"), pathlib.PureWindowsPath("c:/a")],
    "addresses": [ipaddress.ip_address("1.2.3.4"), ipaddress.ip_address("fe80::1%e"), ipaddress.ip_network("10.0.0.0/8")],
    "counter": collections.Counter("aab"),
    "ranges": [range(3), range(10**30, 0, -7), slice(1, None)],
    "typed_array": [array.array("d", [1.5]), array.array("h", [-1, 2])],
    "enum": Color.RED,
    "array_texts": np.array(["ab", "c"]),
    "array_bytes": np.array([b"ab", b"c"]),
    "array_nested_records": np.zeros(2, dtype=np.dtype([("p", [("x", "f8")]), ("m", "u1", (2, 2)), ("s", "U2")], align=True)),
    "array_objects_2d": np.asfortranarray(np.array([[1, "a"], [None, 2.5]], dtype=object)),
    "timestamp": [msgpack.Timestamp(5, 6), msgpack.ExtType(1, b"x")],
}

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "seeds")


def put(target, name, data):
    os.makedirs(os.path.join(here, target), exist_ok=True)
    with open(os.path.join(here, target, name), "wb") as file:
        file.write(data)


for name, value in {**plain, **python}.items():
    put("pickle_decode", name + "_5", pickle.dumps(value, 5))
    for protocol in (0, 2):
        try:
            put("pickle_decode", f"{name}_{protocol}", pickle.dumps(value, protocol))
        except TypeError:
            pass
for name, value in plain.items():
    put("msgpack_decode", name, msgpack.packb(value, use_bin_type=True))
put("msgpack_decode", "keys", msgpack.packb({1: 2, None: 3, b"k": 4}))
put("msgpack_decode", "floats32", msgpack.packb([1.5, -2.5], use_single_float=True))
put("msgpack_decode", "extension", msgpack.packb(msgpack.ExtType(1, b"x")))
put("msgpack_decode", "extensions", msgpack.packb([msgpack.ExtType(n, bytes(n)) for n in (0, 1, 2, 4, 5, 8, 16, 17)]))
put("msgpack_decode", "timestamps", msgpack.packb([msgpack.Timestamp(5), msgpack.Timestamp(5, 6), msgpack.Timestamp(-5, 6)]))

# Texts as `SCHEMA_JSON` has them, in pairs.
number = {"size": 8, "type": "<u8"}
layouts = {
    "number": number,
    "list": [number, number],
    "struct": {"size": 16, "name": "Imu", "align": 8, "fields": [
        {"name": "stamp", "offset": 0, "size": 8, "type": "<M8[ns]"},
        {"name": "acc", "offset": 8, "size": 8, "len": 2, "item": {"size": 4, "type": "<f4"}}]},
    "enum": {"size": 1, "type": "|u1", "name": "Mode", "enum": {"Idle": 0, "Run": 4}},
    "text": {"size": 34, "str": 30},
    "items": {"size": 16, "list": 6, "offset": 4, "item": {"size": 2, "type": "<u2"}},
    "option": {"size": 8, "option": 4, "item": {"size": 4, "type": "<u4", "is": "char"}},
    "opaque": {"size": 8, "type": "|V8", "align": 8, "tag": "42"},
    "too_long": {"too_long": True},
}
for name, layout in layouts.items():
    text = json.dumps(layout, separators=(",", ":"))
    put("schema", name, text.encode())
    put("schema", name + "_and_struct", (text + "\0" + json.dumps(layouts["struct"])).encode())
put("schema", "deep", b"[" * 70 + b"]" * 70)
put("schema", "numbers", b"[-1,0,170141183460469231731687303715884105727,1e5,00]")
put("schema", "escapes", b'{"na\\u006de":"\\ud83e\\udd80 \\n\\u0000","size":1}')

# A layout as a segment has it, then a message.
pose = {"size": 48, "name": "Pose", "align": 8, "fields": [
    {"name": "stamp", "offset": 0, "of": {"size": 8, "type": "<M8[ns]"}},
    {"name": "xyz", "offset": 8, "of": {"size": 12, "len": 3, "item": {"size": 4, "type": "<f4"}}},
    {"name": "mode", "offset": 20, "of": {"size": 1, "type": "|u1", "name": "Mode", "enum": {"Idle": 0, "Run": 4}}},
    {"name": "ok", "offset": 21, "of": {"size": 1, "type": "|b1"}},
    {"name": "frame", "offset": 22, "of": {"size": 10, "str": 6}},
    {"name": "more", "offset": 32, "of": {"size": 8, "list": 2, "offset": 4, "item": {"size": 2, "type": "<u2"}}},
    {"name": "last", "offset": 40, "of": {"size": 8, "option": True, "offset": 4,
                                          "item": {"size": 4, "type": "<u4", "is": "char"}}}]}
message = (struct.pack("<q3fBB", 5, 0.5, 1, 2, 4, 1) + struct.pack("<I6s", 3, b"map")
           + struct.pack("<IHH", 2, 7, 8) + struct.pack("<II", 1, ord("x")))
for name, layout in {**layouts, "pose": pose, "list": [pose, number]}.items():
    text = json.dumps(layout, separators=(",", ":")).encode()
    put("layout_parse", name, text)
    put("layout_view", name, text + b"\0" + message)
    put("layout_view", name + "_ones", text + b"\0" + b"\xff" * 48)
    put("layout_resolve", name, text + b"\0" + text + b"\0" + message)
    put("layout_encode", name, text + b"\0" + bytes(range(64)))
    put("layout_encode", name + "_message", text + b"\0" + message)
put("layout_parse", "deep", b"[" * 70 + b"]" * 70)
put("layout_parse", "many", b'{"size":0,"len":1000000000000,"item":{"size":0,"type":"|V0"}}')

# `Part` of the target, then `Whole`: what is right, and what is nearly.
part = struct.pack("<IhBB", ord("x"), 300, 4, 1)
whole = (struct.pack("<q", 1_700_000_000_000_000_000) + struct.pack("<I", 2) + part * 3 + struct.pack("<I", 1) + part
         + struct.pack("<II", 1, 0x10FFFF) + bytes([0, 4, 255]) + b"\1\0"
         + (struct.pack("<I", 5) + b"names") * 2 + bytes(5))
put("validate", "whole", whole)
put("validate", "zeros", bytes(len(whole)))
put("validate", "ones", b"\xff" * len(whole))
put("validate", "part", part)
put("validate", "surrogate", struct.pack("<IhBB", 0xD800, -300, 255, 0))
put("validate", "cut_text", struct.pack("<I", 5) + "größe".encode()[:5])
put("validate", "option", struct.pack("<IIB", 1, 1, 1))
put("validate", "parts", part * 2)

for i, name in enumerate(["imu", "robot/imu", "sim1/robot/imu", "a-b_c.d/e", "...", "a%2Fb", "shmcomm2_robot%2Fimu",
                          "shmcomm2_a%2fb", "shmcomm_pub_pose", "shmcomm_rep~pose", "shmcomm2~1-2", "größe", "x" * 229,
                          "x/" * 99 + "x", "/", ""]):
    put("names", str(i), name.encode())

# A channel, how many changes come first, then where and what: words of header, seats, slots; then a file as it is.
places = [0, 8, 24, 64, 128, 168, 192, 256, 320, 384, 448, 512, 1024, 1032, 4096, 4104, 4160]
for channel in range(14):
    put("attach", f"{channel}_as_it_is", bytes([channel, 0]))
    for before in (0, 99):
        for name, value in (("ones", b"\xff" * 8), ("one", struct.pack("<Q", 1)), ("high", struct.pack("<Q", 1 << 62))):
            data = b"".join(struct.pack("<I", at) + value for at in places)
            put("attach", f"{channel}_{name}_{before}", bytes([channel, before]) + data)
header = struct.pack("<8q", 0x53484D434F4D4D31, 1, 0, 0, 0, 0, 4, 64)
for channel in (4, 5, 6):
    put("attach", f"{channel}_whole", bytes([0x80 | channel, 0]) + header + bytes(64 + 4 * 64))
put("attach", "0_whole", bytes([0x80, 0]) + header[:8] + struct.pack("<q", 2) + bytes(200))
