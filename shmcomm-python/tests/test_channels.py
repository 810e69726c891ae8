"""Native channels: numpy's types, the Rust program ``peer``, bad input, threads, signals, fork and exit."""

import asyncio
import os
import signal
import threading
import time
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pytest

import shmcomm
from conftest import finished

POSE = np.dtype([("x", "<f8"), ("y", "<f8"), ("count", "<u4"), ("flags", "u1", 4)], align=True)


@dataclass
class Pose:
    x: float
    y: float
    count: Annotated[int, "u4"]
    seen: bool


def expected(number):
    return {
        "stamp": 1_700_000_000_000_000_000 + number,
        "number": number,
        "ranges": [0.5, float(number)],
        "limit": None if number % 2 == 0 else 2.5,
        "acceleration": [0.0, -0.25, 9.75],
        "frame": "map",
        "mode": 0 if number % 2 == 0 else 3,
    }


def message(number):
    return {**expected(number), "stamp": np.datetime64(1_700_000_000_000_000_000 + number, "ns")}


def test_subscriber_reads_what_rust_publishes(name, peer):
    other = peer("publish")
    assert other.stdout.readline() == "ready\n"
    with shmcomm.subscriber(name) as sub:
        received = [sub.recv(timeout=10) for _ in range(10)]
        assert [shmcomm.as_python(one) for one in received] == [expected(n) for n in range(10)]
        assert shmcomm.as_python(received[3], sub.schema)["mode"].name == "Moving"
        assert received[3]["acceleration"].tolist() == [0.0, -0.25, 9.75]
        assert received[3]["stamp"] == np.datetime64(1_700_000_000_000_000_003, "ns")
        assert list(sub) == []
        finished(other)


def test_rust_reads_what_publisher_sends(name, peer):
    template = peer("publish")
    assert template.stdout.readline() == "ready\n"
    with shmcomm.subscriber(name) as sub:
        schema = sub.schema
        finished(template)
    with shmcomm.publisher(name, schema) as pub:
        other = peer("subscribe")
        assert other.stdout.readline() == "ready\n"
        for number in range(10):
            pub.send(message(number))
        finished(other)


def test_puller_takes_what_rust_pushes(name, peer):
    other = peer("push")
    finished(other)
    with shmcomm.puller(name) as pull:
        assert [shmcomm.as_python(pull.recv(timeout=10)) for _ in range(10)] == [expected(n) for n in range(10)]
        assert pull.recv(timeout=0) is None


def test_rust_takes_what_pusher_sends(name, peer):
    other = peer("pull")
    assert other.stdout.readline() == "ready\n"
    with shmcomm.pusher(name) as push:
        for number in range(10):
            assert push.send(message(number)) is True
        finished(other)


def test_requester_asks_rust(name, peer):
    other = peer("serve")
    assert other.stdout.readline() == "ready\n"
    with shmcomm.requester(name) as client:
        assert [client.request((n, 0.5), timeout=10) for n in range(10)] == [n + 0.5 for n in range(10)]
        finished(other)


def test_rust_asks_replier(name, peer):
    with shmcomm.replier(name, ("<f8", 2), "<f8") as service:
        other = peer("ask")
        for _ in range(10):
            assert service.serve(lambda pair: pair.sum(), timeout=10) is True
        assert service.served == 10
        finished(other)


def test_fingerprint_is_that_of_rust(name, peer):
    other = peer("serve")
    assert other.stdout.readline() == "ready\n"
    with shmcomm.requester(name) as client:
        assert client.request_schema == shmcomm.Schema(("<f8", 2))
        assert client.reply_schema.fingerprint == shmcomm.Schema("f8").fingerprint
        for _ in range(10):
            client.request((1, 2))
        finished(other)


def test_messages_of_all_kinds_are_packed(name):
    with shmcomm.publisher(name, POSE) as pub, shmcomm.subscriber(name, POSE) as sub:
        record = np.zeros((), dtype=POSE)
        record["x"], record["count"] = 1.0, 7
        for given in [
            (1.0, 0, 7, [0, 0, 0, 0]),
            {"x": 1, "y": 0.0, "count": 7, "flags": (0, 0, 0, 0)},
            record,
            record[()],
            record.tobytes(),
        ]:
            pub.send(given)
            received = sub.recv(timeout=1)
            assert (received["x"], received["y"], received["count"]) == (1.0, 0.0, 7)
        assert received.flags.writeable is False
        assert sub.received == 5 and sub.lost == 0 and pub.subscribers == 1


def test_dataclass_is_sent_and_received(name):
    with shmcomm.publisher(name, Pose) as pub, shmcomm.subscriber(name, Pose) as sub:
        pub.send(Pose(1.0, 2.5, 7, True))
        assert sub.recv(timeout=1) == Pose(1.0, 2.5, 7, True)
        assert sub.latest() == Pose(1.0, 2.5, 7, True)


def test_bytes_are_sent_and_received(name):
    with shmcomm.publisher(name, bytes, slot_size=64) as pub, shmcomm.subscriber(name) as sub:
        for payload in (b"", b"12345", bytes(64)):
            pub.send(payload)
            assert sub.recv(timeout=1) == payload
        with pytest.raises(shmcomm.MessageTooLongError) as caught:
            pub.send(bytes(65))
        assert (caught.value.size, caught.value.capacity) == (65, 64)
        with pytest.raises(shmcomm.InvalidMessageError, match="bytes"):
            pub.send("text")


@pytest.mark.parametrize(
    "wrong, text",
    [
        ((1.0, 2.0), "fields"),
        ({"x": 1.0}, "`y` is missing"),
        ({"x": 1.0, "y": 1.0, "count": 1, "flags": [0] * 4, "z": 1}, "no field `z`"),
        ((1.0, 2.0, -1, [0] * 4), "`count`"),
        ((1.0, 2.0, 2**32, [0] * 4), "`count`"),
        ((1.0, 2.0, 1.5, [0] * 4), "`count`"),
        ((1.0, "2", 1, [0] * 4), "`y`"),
        ((1.0, 2.0, 1, [0] * 5), "`flags`"),
        ((1.0, 2.0, 1, [object()] * 4), "`flags`"),
        ((1.0, 2.0, 1, np.zeros(4, "<f4")), "`flags`"),
        (b"short", "5 bytes"),
        (None, "fields"),
    ],
)
def test_wrong_message_is_refused_with_its_field(name, wrong, text):
    with shmcomm.publisher(name, POSE) as pub:
        with pytest.raises(shmcomm.InvalidMessageError, match=text):
            pub.send(wrong)


def test_array_without_contiguous_memory_is_sent(name):
    with shmcomm.publisher(name, ("<f4", (2, 3))) as pub, shmcomm.subscriber(name) as sub:
        array = np.arange(12, dtype="f4").reshape(3, 4)[:, ::2].T
        assert not array.flags.c_contiguous
        pub.send(array)
        assert sub.recv(timeout=1).tolist() == array.tolist()


@pytest.mark.parametrize(
    "wrong",
    [
        "O", ">f8", "<M8[s]", "S20", "U4", "<f2", [("a", "u1"), ("b", "<f8")], 7, "[]", "{}",
        [("a", "u1"), ("a", "u1")], ("u1", 1 << 40),
    ],
)
def test_wrong_layout_is_refused(name, wrong):
    with pytest.raises(shmcomm.SchemaError):
        shmcomm.publisher(name, wrong)


def test_other_layout_is_refused_with_its_field(name):
    with shmcomm.publisher(name, [("x", "<f8"), ("y", "<f8")]):
        for wrong, text in [
            ([("x", "<f8"), ("y", "<i8")], "field `y`: there `f64`.*here `i64`"),
            ([("x", "<f8"), ("z", "<f8")], "field `z`"),
            ([("x", "<f4"), ("y", "<f4")], "field `x`.*does not hold every value"),
        ]:
            with pytest.raises(shmcomm.TypeMismatchError, match=text):
                shmcomm.subscriber(name, wrong)
    with pytest.raises(shmcomm.NotFoundError):
        shmcomm.subscriber(name, timeout=0.05)
    with pytest.raises(shmcomm.NotFoundError):
        shmcomm.publisher(name)


def test_setup_errors_have_their_classes(name):
    with shmcomm.publisher(name, "f8"):
        with pytest.raises(shmcomm.AlreadyPublishedError) as caught:
            shmcomm.publisher(name, "f8")
        assert caught.value.channel == name and isinstance(caught.value, shmcomm.Error)
        with pytest.raises(shmcomm.ChannelMismatchError):
            shmcomm.puller(name)
    with pytest.raises(ValueError):
        shmcomm.publisher("", "f8")
    with pytest.raises(shmcomm.InvalidGeometryError):
        shmcomm.publisher(name, "f8", slots=3)


def test_full_queue_and_timeouts(name):
    with shmcomm.pusher(name, "<i8", slots=4) as push, shmcomm.puller(name) as pull:
        sent = 0
        while push.send(sent, timeout=0):
            sent += 1
        assert sent == 4 and push.send(9, timeout=0.05) is False
        assert [int(pull.recv(timeout=1)) for _ in range(4)] == [0, 1, 2, 3]
        assert pull.recv(timeout=0.05) is None


def test_lossless_publisher_waits(name):
    with shmcomm.publisher(name, "<i8", slots=4, waits=True) as pub, shmcomm.subscriber(name) as sub:
        sent = 0
        while sent < 100 and pub.send(sent, timeout=0):
            sent += 1
        assert sent < 100
        assert [int(sub.recv(timeout=1)) for _ in range(sent)] == list(range(sent))
        assert pub.send(sent, timeout=1) is True and sub.recv(timeout=1) == sent


def test_losses_are_counted(name):
    with shmcomm.publisher(name, "<i8", slots=8) as pub, shmcomm.subscriber(name) as sub:
        for number in range(100):
            pub.send(number)
        received = []
        while (one := sub.recv(timeout=0)) is not None:
            received.append(int(one))
        assert received == list(range(100 - len(received), 100))
        assert sub.lost == 100 - len(received)


def test_handler_that_fails_drops_its_request(name):
    with shmcomm.replier(name, "f8", "f8") as service, shmcomm.requester(name) as client:
        outcome = []

        def ask():
            try:
                client.request(1.0, timeout=10)
            except shmcomm.OperationError as error:
                outcome.append(str(error))

        asker = threading.Thread(target=ask)
        asker.start()
        with pytest.raises(ZeroDivisionError):
            service.serve(lambda _: 1 / 0, timeout=10)
        asker.join(timeout=10)
        assert "without an answer" in outcome[0]
        assert client.request(1.0, timeout=0.05) is None


def test_async_for_receives(name):
    with shmcomm.publisher(name, "<i8", slots=256) as pub, shmcomm.subscriber(name) as sub:

        async def take():
            received = []
            async for one in sub:
                received.append(int(one))
                if len(received) == 50:
                    return received

        async def both():
            taker = asyncio.create_task(take())
            for number in range(50):
                pub.send(number)
                await asyncio.sleep(0.001)
            return await asyncio.wait_for(taker, 10)

        assert asyncio.run(both()) == list(range(50))

        async def cancelled():
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(sub.recv_async(), 0.05)
            pub.send(7)
            return await asyncio.wait_for(sub.recv_async(), 10)

        assert asyncio.run(cancelled()) == 7

        async def mixed():
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(sub.recv_async(), 0.05)
            pub.send(8)
            first = sub.recv(timeout=10)
            tasks = [asyncio.create_task(sub.recv_async()) for _ in range(3)]
            await asyncio.sleep(0.02)
            for number in (9, 10, 11):
                pub.send(number)
            return [int(first), *sorted(int(one) for one in await asyncio.wait_for(asyncio.gather(*tasks), 10))]

        assert asyncio.run(mixed()) == [8, 9, 10, 11]


def test_iterator_ends_with_the_publisher(name):
    pub = shmcomm.publisher(name, "<i8")
    with shmcomm.subscriber(name) as sub:
        for number in range(3):
            pub.send(number)
        pub.close()
        assert [int(one) for one in sub] == [0, 1, 2]
        with pytest.raises(EOFError):
            sub.recv(timeout=1)


def test_closed_end_is_refused(name):
    ends = [shmcomm.publisher(name, "f8")]
    ends.append(shmcomm.subscriber(name))
    for end in ends[::-1]:
        end.close()
        end.close()
    with pytest.raises(shmcomm.ClosedError, match=name):
        ends[0].send(1.0)
    with pytest.raises(shmcomm.ClosedError):
        ends[1].recv(timeout=0)


def test_close_ends_the_wait_of_another_thread(name):
    with shmcomm.publisher(name, "f8"):
        sub, outcome = shmcomm.subscriber(name), []

        def take():
            try:
                sub.recv()
            except shmcomm.ClosedError:
                outcome.append("closed")

        taker = threading.Thread(target=take)
        taker.start()
        time.sleep(0.1)
        sub.close()
        taker.join(timeout=5)
        assert outcome == ["closed"]


def test_forked_child_gets_an_error(name):
    with shmcomm.publisher(name, "f8") as pub, shmcomm.subscriber(name) as sub:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for call in (lambda: pub.send(1.0), lambda: sub.recv(0), sub.recv, sub.latest, lambda: sub.lost):
                    try:
                        call()
                        code = 2
                        break
                    except shmcomm.ForkedError as error:
                        code = 0 if "fork" in str(error) else 3
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        pub.send(2.5)
        assert sub.recv(timeout=1) == 2.5


@pytest.mark.parametrize(
    "wait",
    [
        "shmcomm.subscriber(name + '-none', timeout=60)",
        "pub = shmcomm.publisher(name, 'f8'); shmcomm.subscriber(name).recv()",
        "push = shmcomm.pusher(name, 'f8'); job = shmcomm.puller(name); job.recv()",
        "rep = shmcomm.replier(name, 'f8', 'f8'); shmcomm.requester(name).request(1.0, None)",
        "shmcomm.replier(name, 'f8', 'f8').serve(abs)",
    ],
)
def test_interrupt_ends_a_wait(name, program, wait):
    other = program(f"import sys, shmcomm; name = sys.argv[1]; print('ready', flush=True)\n{wait}", name)
    assert other.line() == "ready"
    time.sleep(0.5)
    started = time.monotonic()
    other.process.send_signal(signal.SIGINT)
    code, _, errors = other.finish()
    assert time.monotonic() - started < 5
    assert "KeyboardInterrupt" in errors and code != 0


def test_exit_leaves_nothing_behind(name, program):
    code = """
import sys, shmcomm
name = sys.argv[1]
ends = [shmcomm.publisher(name, "f8"), shmcomm.subscriber(name), shmcomm.pusher(name + "-jobs", "f8")]
ends += [shmcomm.puller(name + "-jobs"), shmcomm.replier(name + "-ask", "f8", "f8"), shmcomm.requester(name + "-ask")]
ends[0].send(1.0), ends[2].send(1.0), ends[3].recv()
"""
    assert program(code, name).finish() == (0, "", "")


def test_message_is_never_written_under_its_array(name):
    with shmcomm.publisher(name, ("<u8", 64), slots=4) as pub, shmcomm.subscriber(name) as sub:
        kept = []
        for number in range(20_000):
            pub.send(np.full(64, number, dtype="<u8"))
            received = sub.recv(timeout=1)
            if number % 1000 == 0:
                kept.append((number, received))
        assert all((array == number).all() for number, array in kept)


def test_segments_are_listed(name):
    with shmcomm.publisher(name, "f8") as pub:
        pub.send(1.0)
        [info] = [one for one in shmcomm.list_segments() if one.channel == name]
        assert (info.pattern, info.codec, info.messages, info.stale) == ("publish/subscribe", "fixed layout", 1, False)
        [publisher] = info.participants
        assert (publisher.role, publisher.process, publisher.alive) == ("publisher", os.getpid(), True)
    assert shmcomm.force_unlink(name) is False


def test_namespace_is_part_of_the_name(name, monkeypatch):
    monkeypatch.setenv("SHMCOMM_NAMESPACE", name)
    with shmcomm.publisher("feed", "f8") as pub:
        assert pub.name == f"{name}/feed"
        assert [one.channel for one in shmcomm.list_segments(name)] == [f"{name}/feed"]
        with shmcomm.subscriber("feed", namespace=name) as sub:
            pub.send(1.0)
            assert sub.recv(timeout=1) == 1.0
