"""Writes seeds/: small messages as CPython writes them, one file for each kind of thing."""

import collections
import dataclasses
import os
import pickle

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
