"""Messages of msgpack and pickle, and headers with a tail."""

import builtins
import pickle
import threading

import numpy as np
import pytest

import shmcomm
from conftest import finished

HEADER = np.dtype([("number", "<u8"), ("size", "<u8")])
CLOUD = shmcomm.Tail(HEADER, ("<f4", 3))


def document(number):
    return {"xyz": [0.5, float(number)]}


def points(number):
    return np.array([[0.5, 1.0, number], [1.5, 2.0, 3.0]], dtype="f4")


@pytest.mark.parametrize("codec", [shmcomm.MSGPACK, shmcomm.PICKLE])
def test_documents_are_exchanged_with_rust(name, peer, codec):
    other = peer(f"publish {codec.codec}")
    assert other.stdout.readline() == "ready\n"
    with shmcomm.subscriber(name) as sub:
        assert sub.schema == codec
        assert [sub.recv(timeout=10) for _ in range(10)] == [document(n) for n in range(10)]
        finished(other)
    with shmcomm.publisher(name, codec, slot_size=200) as pub:
        other = peer(f"subscribe {codec.codec}")
        assert other.stdout.readline() == "ready\n"
        for number in range(10):
            pub.send(document(number))
        finished(other)


def test_tails_are_exchanged_with_rust(name, peer):
    other = peer("publish tail")
    assert other.stdout.readline() == "ready\n"
    with shmcomm.subscriber(name) as sub:
        assert sub.schema == CLOUD
        for number in range(10):
            header, items = sub.recv(timeout=10)
            assert header["number"] == number and (items == points(number)).all()
        finished(other)
    with shmcomm.publisher(name, CLOUD, slot_size=112) as pub:
        other = peer("subscribe tail")
        assert other.stdout.readline() == "ready\n"
        for number in range(10):
            pub.send(((number, 2), points(number)))
        finished(other)


def test_objects_of_all_kinds_are_documents(name):
    values = [{"a": [1, 2.5, "ü", None, True, b"x"]}, [], "text", 7, None, False]
    for codec in (shmcomm.MSGPACK, shmcomm.PICKLE):
        with shmcomm.publisher(name, codec) as pub, shmcomm.subscriber(name) as sub:
            for value in values:
                pub.send(value)
                with sub.borrow(timeout=1) as encoded:
                    assert encoded.tobytes() == codec.pack(value)
                pub.send(value)
                assert sub.recv(timeout=1) == value
                assert sub.latest() == value
    with shmcomm.publisher(name, shmcomm.PICKLE) as pub, shmcomm.subscriber(name) as sub:
        pub.send({1, (2, 3)})
        assert sub.recv(timeout=1) == {1, (2, 3)}
    with shmcomm.publisher(name, shmcomm.MSGPACK) as pub, shmcomm.subscriber(name) as sub:
        pub.send({"array": np.arange(3), "number": np.float32(0.5)})
        assert sub.recv(timeout=1) == {"array": [0, 1, 2], "number": 0.5}


def test_documents_go_through_queues_and_services(name):
    with shmcomm.pusher(name, shmcomm.MSGPACK, slot_size=64) as push, shmcomm.puller(name) as pull:
        push.send(document(1))
        assert pull.recv(timeout=1) == document(1)
        with pytest.raises(shmcomm.MessageTooLongError) as caught:
            push.send("x" * 100)
        assert caught.value.size == 102 and caught.value.capacity == 64
    service_name = name + "-ask"
    with shmcomm.replier(service_name, shmcomm.PICKLE, shmcomm.PICKLE) as service:
        with shmcomm.requester(service_name) as client:
            thread = threading.Thread(target=service.serve, args=(lambda value: value["xyz"],))
            thread.start()
            assert client.request(document(3)) == [0.5, 3.0]
            thread.join()
    with pytest.raises(TypeError, match="same codec"):
        shmcomm.replier(service_name, shmcomm.PICKLE, "<f8")


def test_what_a_codec_refuses_is_an_invalid_message(name, monkeypatch):
    with shmcomm.publisher(name, shmcomm.MSGPACK) as pub:
        with pytest.raises(shmcomm.InvalidMessageError, match="msgpack.*object"):
            pub.send(object())
    with pytest.raises(shmcomm.InvalidMessageError, match="pickle"):
        shmcomm.PICKLE.pack(lambda: None)
    with pytest.raises(shmcomm.InvalidMessageError, match="pickle"):
        shmcomm.PICKLE.unpack(b"no pickle")
    load = builtins.__import__

    def without(what, *arguments):
        if what == "msgpack":
            raise ImportError(what)
        return load(what, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(shmcomm.UnsupportedError, match="pip install msgpack"):
        shmcomm.MSGPACK.pack(1)
    assert pickle.loads(shmcomm.PICKLE.pack(1)) == 1


def test_tail_is_received_in_place(name):
    with shmcomm.publisher(name, CLOUD, slot_size=1 << 16, slots=4) as pub, shmcomm.subscriber(name, CLOUD) as sub:
        cloud = np.arange(3000, dtype="f4").reshape(1000, 3)
        pub.send(((7, 1000), cloud))
        sample = sub.borrow(timeout=1)
        with sample as items:
            assert sample.in_slot and sample.header["number"] == 7
            assert items.shape == (1000, 3) and (items == cloud).all() and not items.flags.writeable
        assert items.size == 0 and sample.released
        pub.send(((8, 0), []))
        with sub.borrow(timeout=1) as items:
            assert items.shape == (0, 3)
        pub.send(((9, 1), [(1, 2, 3)]))
        header, items = sub.recv(timeout=1)
        assert header["number"] == 9 and items.tolist() == [[1.0, 2.0, 3.0]]
    with shmcomm.publisher(name, "<f8") as pub, shmcomm.subscriber(name) as sub:
        pub.send(1.0)
        sample = sub.borrow(timeout=1)
        with pytest.raises(TypeError, match="no header"):
            sample.header


@pytest.mark.parametrize("wrong, text", [(7, "pair"), (((1, 2), np.zeros((2, 4), "f4")), "shape"), (((1, 2), [(1, 2)]), "shape"), (((1,), []), "fields")])
def test_wrong_tail_is_refused(name, wrong, text):
    with shmcomm.publisher(name, CLOUD) as pub:
        with pytest.raises(shmcomm.InvalidMessageError, match=text):
            pub.send(wrong)


@pytest.mark.parametrize(
    "header, items, text",
    [
        ("<u4", "<f8", "add a last field of 4 bytes"),
        (bytes, "<f8", "fixed layouts"),
        ("<u4", bytes, "fixed layouts"),
        ("<u8", ("<f8", 0), "no bytes"),
    ],
)
def test_tail_that_cannot_be_a_layout_is_refused(header, items, text):
    with pytest.raises(shmcomm.SchemaError, match=text):
        shmcomm.Tail(header, items)
