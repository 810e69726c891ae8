"""Threads that share an end: a thread that waits keeps no other out, and each call returns in its time."""

import contextlib
import threading
import time

import pytest

import shmcomm


@contextlib.contextmanager
def waiting(*waits):
    """Runs each of the calls in a thread of its own, until the block has closed their end."""
    ended = []

    def run(wait):
        try:
            wait()
        except shmcomm.ClosedError:
            ended.append("closed")

    threads = [threading.Thread(target=run, args=(wait,)) for wait in waits]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    started = time.monotonic()
    yield
    # A call that waits for a thread that sleeps, and takes the lock again at once, takes many seconds.
    assert time.monotonic() - started < 30
    for thread in threads:
        thread.join(timeout=30)
    assert ended == ["closed"] * len(waits)


def test_receives_of_two_threads_end_in_time(name):
    with shmcomm.publisher(name, "<i8"), shmcomm.subscriber(name) as sub:
        with waiting(sub.recv, sub.recv):
            for _ in range(5):
                assert sub.recv(timeout=0.02) is None
                assert sub.lost == 0
            sub.close()


def test_jobs_reach_each_thread_of_a_puller(name):
    with shmcomm.puller(name, "<i8") as jobs, shmcomm.pusher(name) as pusher:
        taken = []

        def work():
            while True:
                number = int(jobs.recv())
                taken.append(number)

        with waiting(work, work, work):
            for number in range(100):
                assert pusher.send(number, timeout=10)
            while len(taken) < 100:
                time.sleep(0.001)
            jobs.close()
        assert sorted(taken) == list(range(100))


def test_sends_of_two_threads_end_in_time(name):
    with shmcomm.publisher(name, "<i8", slots=2, waits=True) as pub, shmcomm.subscriber(name) as sub:
        for number in range(2):
            assert pub.send(number, timeout=10)
        with waiting(lambda: pub.send(2)):
            for _ in range(5):
                assert pub.send(3, timeout=0.02) is False
                assert pub.subscribers == 1
            pub.close()
        assert sub.recv(timeout=0) == 0


def test_request_behind_another_one_ends_in_time(name):
    with shmcomm.replier(name, "f8", "f8"), shmcomm.requester(name) as client:
        with waiting(lambda: client.request(1.0)):
            for _ in range(5):
                assert client.request(2.0, timeout=0.02) is None
            client.close()


def test_replier_serves_in_several_threads(name):
    with shmcomm.replier(name, "f8", "f8") as service, shmcomm.requester(name) as client:

        def serve():
            while True:
                service.serve(lambda number: 2 * number)

        with waiting(serve, serve):
            for number in range(20):
                assert client.request(float(number), timeout=10) == 2 * number
                assert service.serve(float, timeout=0.005) is False
            service.close()


def test_waits_for_keys_of_one_reader_end_in_time(name):
    keys = {"battery": "f8", "pose": "f8"}
    with shmcomm.table_writer(name, "battery", keys) as battery, shmcomm.table_reader(name) as robot:
        with waiting(lambda: robot.wait("pose")):
            for _ in range(5):
                assert robot.wait("battery", timeout=0) is False
                assert robot.wait("battery", timeout=0.02) is False
                battery.store(0.5)
                assert robot.wait("battery", timeout=10) is True
                assert robot.load("battery").value == 0.5
            robot.close()


def test_replies_of_one_stream_end_in_time(name):
    def replies(_):
        yield 1.0
        stop.wait(30)

    stop = threading.Event()
    with shmcomm.replier(name, "f8", "f8", window=4) as service, shmcomm.requester(name) as client:
        serving = threading.Thread(target=service.serve, args=(replies,), kwargs={"timeout": 10})
        serving.start()
        with client.stream(1.0) as stream:
            assert stream.recv(timeout=10) == 1.0
            with waiting(stream.recv):
                for _ in range(5):
                    assert stream.recv(timeout=0.02) is None
                stream.close()
            with pytest.raises(shmcomm.ClosedError):
                stream.recv(timeout=0)
        stop.set()
        serving.join(timeout=30)
