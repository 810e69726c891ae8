"""Streams of replies: iteration, `async for`, cancel, and the death of the replier."""

import asyncio
import threading
import time

import pytest

import shmcomm


@pytest.fixture
def ends(name):
    with shmcomm.replier(name, "<i8", "<i8", window=4) as service, shmcomm.requester(name) as client:
        yield service, client


def serve(service, handler):
    thread = threading.Thread(target=service.serve, args=(handler, 30))
    thread.start()
    return thread


def test_replies_are_iterated_until_the_end(ends):
    service, client = ends
    thread = serve(service, range)
    with client.stream(100) as replies:
        assert [int(number) for number in replies] == list(range(100))
        with pytest.raises(shmcomm.StreamEndedError):
            replies.recv()
    thread.join()
    assert service.served == 1
    thread = serve(service, lambda _: ())
    assert list(client.stream(0)) == []
    thread.join()


def test_task_receives_replies(ends):
    service, client = ends
    thread = serve(service, range)

    async def receive():
        return [int(number) async for number in client.stream(50)]

    assert asyncio.run(receive()) == list(range(50))
    thread.join()


def test_cancel_closes_the_generator(ends):
    service, client = ends
    closed = threading.Event()

    def endless(first):
        try:
            while True:
                yield first
        finally:
            closed.set()

    thread = serve(service, endless)
    replies = client.stream(7)
    assert replies.recv(timeout=30) == 7
    with pytest.raises(shmcomm.LoanOpenError, match="stream of replies"):
        client.stream(8)
    replies.cancel()
    assert closed.wait(30)
    thread.join()
    with pytest.raises(shmcomm.ClosedError):
        replies.recv(timeout=0)
    thread = serve(service, range)
    assert [int(number) for number in client.stream(2)] == [0, 1]
    thread.join()


def test_exception_of_the_handler_ends_the_stream(ends):
    service, client = ends

    def broken(_):
        yield 1
        raise ZeroDivisionError

    failed = []

    def run():
        try:
            service.serve(broken, 30)
        except ZeroDivisionError as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    replies = client.stream(0)
    assert replies.recv(timeout=30) == 1
    with pytest.raises(shmcomm.OperationError, match="without an answer"):
        replies.recv(timeout=30)
    thread.join()
    assert len(failed) == 1


def test_no_reply_in_time_is_none(ends):
    _, client = ends
    replies = client.stream(1)
    start = time.monotonic()
    assert replies.recv(timeout=0.1) is None and time.monotonic() - start >= 0.1
    assert replies.recv(timeout=0) is None


def test_replies_end_with_the_death_of_the_replier(name, program):
    code = """
import sys, time, shmcomm
with shmcomm.replier(sys.argv[1], "<i8", "<i8", window=4) as service:
    print("up", flush=True)
    def two(_):
        yield 1
        yield 2
        print("sent", flush=True)
        time.sleep(60)
    service.serve(two)
"""
    process = program(code, name)
    assert process.line() == "up"
    with shmcomm.requester(name) as client:
        replies = client.stream(0)
        assert process.line() == "sent"
        process.process.kill()
        assert [int(replies.recv(timeout=30)) for _ in range(2)] == [1, 2]
        with pytest.raises(shmcomm.PeerDiedError):
            replies.recv(timeout=30)


def test_streams_and_one_reply_are_not_mixed(name):
    with shmcomm.replier(name, "<i8", "<i8") as service, shmcomm.requester(name) as client:
        with pytest.raises(shmcomm.OperationError, match="has one reply"):
            client.stream(1)
        with pytest.raises(shmcomm.ChannelMismatchError, match="one reply in the segment"):
            shmcomm.requester(name, "<i8", "<i8", window=2)
    with pytest.raises(shmcomm.InvalidGeometryError, match="65536"):
        shmcomm.replier(name, "<i8", "<i8", window=0)
    with shmcomm.replier(name, "<i8", "<i8", window=2), shmcomm.requester(name) as client:
        with pytest.raises(shmcomm.OperationError, match="use `stream`"):
            client.request(1)


def test_sets_wait_for_streams_beside_channels(name):
    with shmcomm.replier(name, "<i8", "<i8", window=4) as service, shmcomm.requester(name) as client:
        with shmcomm.publisher(name + "-other", "<i8") as other, shmcomm.subscriber(name + "-other") as numbers:
            go = threading.Event()

            def two(first):
                go.wait(30)
                yield first
                yield first + 1

            thread = serve(service, two)
            with client.stream(7) as replies, shmcomm.WaitSet() as ready:
                ready.add("rows", replies)
                ready.add("number", numbers)
                assert ready.wait(timeout=0.05) == []
                other.send(1)
                assert [one.key for one in ready.wait(timeout=30)] == ["number"]
                assert numbers.recv(timeout=0) == 1
                go.set()
                found = []
                with pytest.raises(shmcomm.StreamEndedError):
                    while True:
                        assert [one.key for one in ready.wait(timeout=30)] == ["rows"]
                        reply = replies.recv(timeout=0)
                        found += [] if reply is None else [int(reply)]
                assert found == [7, 8] and ready.wait(timeout=0) == [] and len(ready) == 1
                with pytest.raises(shmcomm.StreamEndedError):
                    replies.recv()
                with pytest.raises(shmcomm.StreamEndedError):
                    ready.add("rows", replies)
                assert len(ready) == 1
            thread.join()


def test_cancelled_streams_leave_their_sets(ends):
    service, client = ends
    thread = serve(service, range)
    with shmcomm.WaitSet() as ready:
        replies = client.stream(1000)
        ready.add("rows", replies)
        assert [one.key for one in ready.wait(timeout=30)] == ["rows"]
        replies.cancel()
        assert ready.wait(timeout=0) == [] and len(ready) == 0
        with pytest.raises(shmcomm.ClosedError):
            ready.add("rows", replies)
    thread.join()


def test_task_waits_for_a_stream_in_a_set(ends):
    service, client = ends
    thread = serve(service, range)

    async def receive():
        with client.stream(3) as replies, shmcomm.WaitSet() as ready:
            ready.add("rows", replies)
            found = []
            while len(found) < 3:
                await ready.wait_async()
                reply = replies.recv(timeout=0)
                found += [] if reply is None else [int(reply)]
            return found

    assert asyncio.run(receive()) == [0, 1, 2]
    thread.join()
