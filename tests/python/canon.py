# The same text for the same value as `canon` in mod.rs.
import collections, dataclasses, math, pickle, random, struct, sys
import numpy as np


@dataclasses.dataclass
class Point:
    x: object
    y: object
    label: object


class Slotted:
    __slots__ = ("x", "label")


class Mixed(Slotted):
    pass


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    x: object
    y: object


class Empty:
    pass


class Stack(list):
    pass


class Table(dict):
    pass


Pair = collections.namedtuple("Pair", "left right")


def flt(x):
    return "fnan" if math.isnan(x) else "f" + struct.pack(">d", x).hex()


def canon(v):
    t = type(v)
    if v is None:
        return "N"
    if t is bool:
        return "T" if v else "F"
    if t is int:
        return "i%d" % v
    if t is float:
        return flt(v)
    if t is complex:
        return "c(%s,%s)" % (flt(v.real), flt(v.imag))
    if t is str:
        return "s" + v.encode().hex()
    if t is bytes:
        return "b" + v.hex()
    if t is bytearray:
        return "B" + v.hex()
    if t is list:
        return "[%s]" % ",".join(map(canon, v))
    if t is collections.deque:
        return "Q%s[%s]" % (v.maxlen, ",".join(map(canon, v)))
    if t is tuple:
        return "(%s)" % ",".join(map(canon, v))
    if t is set:
        return "{%s}" % ",".join(sorted(map(canon, v)))
    if t is frozenset:
        return "<%s>" % ",".join(sorted(map(canon, v)))
    if t in (dict, collections.OrderedDict, collections.defaultdict, collections.Counter):
        kind = {dict: "D", collections.OrderedDict: "O", collections.Counter: "C"}.get(t)
        if kind is None:
            kind = "DD(%s)" % getattr(v.default_factory, "__name__", None)
        return kind + "{%s}" % ",".join(canon(k) + ":" + canon(w) for k, w in v.items())
    if t is np.ndarray:
        shape = "x".join(map(str, v.shape))
        code = v.dtype.str
        plain = v.view(v.dtype.str[0] + "i8") if v.dtype.kind in "mM" else v
        items = [plain[i].item() for i in np.ndindex(v.shape)]
        return "A(%s;%s;%s)" % (code, shape, ",".join(map(canon, items)))
    if isinstance(v, np.generic):
        return canon(np.asarray(v)) if v.dtype.kind in "mM" else canon(v.item())
    if t is Pair:
        state = canon(tuple(v))
    elif t is Frozen:
        state = canon([v.x, v.y])
    elif t is Stack:
        state = canon(list(v))
    elif t is Table:
        state = canon(dict(v))
    elif t is Slotted:
        state = canon({"x": v.x, "label": v.label})
    elif t is Mixed:
        state = canon({**v.__dict__, "x": v.x, "label": v.label})
    else:
        state = canon(v.__dict__)
    return "O(%s.%s %s)" % (t.__module__, t.__name__, state)
