"""Layouts of programs that differ from those of their segments: the rules of evolution."""

import logging
import threading
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
import pytest

import shmcomm
from conftest import finished

OLD = [("x", "<f4"), ("extra", "<u4"), ("count", "<u2"), ("pad", "<u2")]


@dataclass
class New:
    count: Annotated[int, "u4"]
    x: float
    added: float = 20.0
    more: Annotated[int, "u1"] = field(default=7)


def test_layouts_are_resolved_by_the_rules_of_evolution(name):
    """Fields are found by name, widened, ignored, and defaulted from a dataclass."""
    with shmcomm.publisher(name, OLD) as pub:
        with shmcomm.subscriber(name, New) as sub, shmcomm.subscriber(name, [("x", "<f8")]) as second:
            pub.send((0.5, 9, 3, 0))
            assert sub.recv(timeout=1) == New(3, 0.5, 20.0, 7)
            assert second.recv(timeout=1)["x"] == 0.5
            assert sorted(sub.resolution["ignored"]) == ["extra", "pad"]
            assert sorted(sub.resolution["widened"]) == ["count", "x"]
            with pytest.raises(shmcomm.TypeMismatchError, match="recv"):
                sub.borrow(timeout=0)
            assert sub.latest().count == 3
        with shmcomm.subscriber(name, [("x", "<f4"), ("extra", "<u4")]) as prefix:
            pub.send((0.25, 8, 3, 0))
            with prefix.borrow(timeout=1) as array:
                assert array["x"] == 0.25 and array["extra"] == 8
        with shmcomm.subscriber(name) as same:
            assert same.resolution == {}


def test_jobs_and_services_are_resolved(name):
    with shmcomm.pusher(name, OLD) as push, shmcomm.puller(name, [("count", "<i8")]) as pull:
        push.send((0.5, 9, 3, 0))
        assert pull.recv(timeout=1)["count"] == 3 and pull.resolution["widened"] == ["count"]
        with pytest.raises(shmcomm.TypeMismatchError, match="`none`"):
            shmcomm.puller(name, [("none", "<i8")])
        with pytest.raises(shmcomm.TypeMismatchError):
            shmcomm.pusher(name, [("count", "<i8")])
    name += "-ask"
    with shmcomm.replier(name, "<u4", [("a", "<f4"), ("b", "<f4")]) as service:
        with shmcomm.requester(name, "<u4", [("b", "<f8")]) as client:
            thread = threading.Thread(target=service.serve, args=(lambda value: (float(value), 0.5),))
            thread.start()
            assert client.request(3)["b"] == 0.5
            thread.join()
        with pytest.raises(shmcomm.TypeMismatchError):
            shmcomm.requester(name, "<u8", [("b", "<f8")])


@dataclass
class Point:
    x: float
    y: float = 1.5
    z: float = field(default_factory=lambda: 2.5)


@dataclass
class Track:
    first: Point
    last: Point = field(default_factory=lambda: Point(7.0))
    number: int = 3


def test_defaults_of_nested_dataclasses_are_used(name):
    with shmcomm.publisher(name, [("first", [("x", "<f4")])]) as pub, shmcomm.subscriber(name, Track) as sub:
        pub.send(((0.5,),))
        assert sub.recv(timeout=1) == Track(Point(0.5, 1.5, 2.5), Point(7.0, 1.5, 2.5), 3)
        assert sub.resolution == {
            "defaulted": ["first.y", "first.z", "last", "number"],
            "ignored": [],
            "widened": ["first.x"],
        }
        with pytest.raises(shmcomm.TypeMismatchError, match="recv"):
            sub.borrow(timeout=0)


HEADER = [("number", "<u4"), ("size", "<u4"), ("extra", "<f8")]
POINTS = [("x", "<f4"), ("y", "<f4"), ("intensity", "<u2"), ("pad", "<u2")]
CLOUD = shmcomm.Tail(HEADER, POINTS)


def test_items_of_a_tail_are_resolved(name, caplog):
    wanted = shmcomm.Tail([("size", "<u8"), ("number", "<u8")], [("intensity", "<u4"), ("pad", "<u4"), ("y", "<f8")])
    caplog.set_level(logging.INFO, logger="shmcomm")
    with shmcomm.publisher(name, CLOUD) as pub, shmcomm.subscriber(name, wanted) as sub:
        pub.send(((7, 2, 0.5), np.array([(1, 2, 3, 0), (4, 5, 6, 0)], dtype=POINTS)))
        header, items = sub.recv(timeout=1)
        assert (header["number"], header["size"]) == (7, 2)
        assert items.dtype == wanted.items.dtype and not items.flags.writeable
        assert items["intensity"].tolist() == [3, 6] and items["y"].tolist() == [2.0, 5.0]
        assert sub.schema == wanted
        assert sorted(sub.resolution["ignored"]) == ["extra", "x"]
        assert sorted(sub.resolution["widened"]) == ["intensity", "number", "pad", "size", "y"]
        assert "ignored `extra`, `x`; widened" in caplog.text
        pub.send(((8, 0, 0.5), []))
        header, items = sub.latest()
        assert header["number"] == 8 and items.shape == (0,)
        with pytest.raises(shmcomm.TypeMismatchError, match="recv"):
            sub.borrow(timeout=0)
        assert sub.recv(timeout=0) is None


def test_arrays_as_items_are_widened(name):
    old, new = shmcomm.Tail("<u8", ("<f4", 3)), shmcomm.Tail("<u8", ("<f8", 3))
    with shmcomm.publisher(name, old, slot_size=1 << 20) as pub, shmcomm.subscriber(name, new) as sub:
        cloud = np.arange(9000, dtype="f4").reshape(3000, 3)
        pub.send((7, cloud))
        header, items = sub.recv(timeout=1)
        assert header == 7 and items.dtype == np.float64 and (items == cloud).all()


def test_items_of_a_dataclass_have_its_defaults(name):
    with shmcomm.publisher(name, shmcomm.Tail("<u8", [("x", "<f4")])) as pub:
        with shmcomm.subscriber(name, shmcomm.Tail("<u8", Point)) as sub:
            pub.send((7, [(0.5,), (1.5,)]))
            items = sub.recv(timeout=1).items
            assert items["x"].tolist() == [0.5, 1.5]
            assert items["y"].tolist() == [1.5, 1.5] and items["z"].tolist() == [2.5, 2.5]
            assert sub.resolution["defaulted"] == ["y", "z"]


def test_items_stay_in_place_under_another_header(name):
    wanted = shmcomm.Tail([("number", "<u8"), ("size", "<u8")], POINTS)
    with shmcomm.publisher(name, CLOUD, slot_size=1 << 16) as pub, shmcomm.subscriber(name, wanted) as sub:
        pub.send(((7, 2, 0.5), np.zeros(2000, dtype=POINTS)))
        sample = sub.borrow(timeout=1)
        with sample as items:
            assert sample.in_slot and sample.header["number"] == 7 and items.shape == (2000,)


@pytest.mark.parametrize(
    "header, items, field",
    [
        (HEADER, [("w", "<f4")], "`w`"),
        (HEADER, [("x", "<f4"), ("intensity", "u1"), ("pad", "u1", 3)], "`intensity`"),
        (HEADER, [("x", "<i4")], "`x`"),
        ([("none", "<u8")], POINTS, "`none`"),
        (HEADER, "<f4", "there `Item`, here `f32`"),
    ],
)
def test_tail_that_cannot_be_read_names_its_field(name, header, items, field):
    with shmcomm.publisher(name, CLOUD):
        with pytest.raises(shmcomm.TypeMismatchError, match=field) as caught:
            shmcomm.subscriber(name, shmcomm.Tail(header, items))
        assert caught.value.channel == name and str(caught.value).startswith(f"channel `{name}`: ")


def test_tails_of_rust_are_resolved_and_resolve_those_of_python(name, peer):
    other = peer("publish tail")
    assert other.stdout.readline() == "ready\n"
    with shmcomm.subscriber(name, shmcomm.Tail([("number", "<u8")], ("<f8", 3))) as sub:
        for number in range(10):
            header, items = sub.recv(timeout=10)
            assert header["number"] == number and items.tolist() == [[0.5, 1.0, number], [1.5, 2.0, 3.0]]
        finished(other)
    old = shmcomm.Tail([("size", "<u4"), ("number", "<u4")], ("<f4", 3))
    with shmcomm.publisher(name, old, slot_size=112) as pub:
        other = peer("subscribe tail")
        assert other.stdout.readline() == "ready\n"
        for number in range(10):
            pub.send(((2, number), [(0.5, 1.0, number), (1.5, 2.0, 3.0)]))
        finished(other)


def test_messages_of_another_kind_are_refused(name):
    with shmcomm.publisher(name, shmcomm.MSGPACK):
        for wanted in ("<f8", bytes, shmcomm.PICKLE, CLOUD):
            with pytest.raises(shmcomm.ChannelMismatchError, match="carries msgpack, and this program declares") as caught:
                shmcomm.subscriber(name, wanted)
            assert caught.value.channel == name
    with shmcomm.publisher(name, "<f8"):
        for wanted, kind in ((bytes, "raw bytes"), (shmcomm.PICKLE, "pickle"), (CLOUD, "header and tail")):
            with pytest.raises(shmcomm.ChannelMismatchError, match=f"carries fixed layout.*declares {kind}"):
                shmcomm.subscriber(name, wanted)


def test_subscriber_says_why_it_does_not_follow(name):
    old, new = [("x", "<f4"), ("y", "<f4")], [("x", "<f4"), ("z", "<f4")]
    with shmcomm.publisher(name, old) as pub:
        sub = shmcomm.subscriber(name, [("x", "<f8")])
        pub.send((0.5, 0.5))
        assert sub.recv(timeout=5)["x"] == 0.5 and sub.follow_error is None
    with sub:
        with shmcomm.publisher(name, new) as pub:
            pub.send((1.5, 0.5))
            with pytest.raises(shmcomm.DisconnectedError):
                sub.recv(timeout=5)
            assert f"channel `{name}`" in sub.follow_error and "field `y` is missing there" in sub.follow_error
            with shmcomm.subscriber(name, [("x", "<f8")]) as again:
                pub.send((2.5, 0.5))
                assert again.recv(timeout=5)["x"] == 2.5
        with shmcomm.publisher(name, old) as pub:
            pub.send((3.5, 0.5))
            assert sub.recv(timeout=5)["x"] == 3.5 and sub.follow_error is None
