"""Wait sets: ends, timers, files, event loops and signals."""

import asyncio
import os
import select
import signal
import threading
import time

import pytest

import shmcomm


def test_set_reports_what_is_ready(name):
    with shmcomm.publisher(name, "<i8") as pub, shmcomm.subscriber(name) as sub, shmcomm.WaitSet() as both:
        with shmcomm.pusher(name + "-jobs", "<i8") as push, shmcomm.puller(name + "-jobs") as pull:
            both.add("sub", sub)
            both.add(("pull", 1), pull)
            assert len(both) == 2 and both.wait(timeout=0) == []
            pub.send(1)
            assert [ready.key for ready in both.wait(timeout=5)] == ["sub"]
            assert [ready.cause for ready in both.wait(timeout=5)] == ["channel"]
            push.send(2)
            assert [ready.key for ready in both.wait(timeout=5)] == ["sub", ("pull", 1)]
            assert sub.recv(timeout=0) == 1 and pull.recv(timeout=0) == 2
            assert both.wait(timeout=0) == []
            assert both.remove("sub") is True and both.remove("sub") is False and both.remove("none") is False
            pub.send(3)
            assert both.wait(timeout=0) == []


def test_wait_ends_when_a_message_comes(name):
    with shmcomm.publisher(name, "<i8") as pub, shmcomm.subscriber(name) as sub, shmcomm.WaitSet() as one:
        one.add("sub", sub)
        thread = threading.Timer(0.2, pub.send, args=(7,))
        thread.start()
        assert [ready.key for ready in one.wait(timeout=30)] == ["sub"]
        thread.join()
        pub.close()
        assert sub.recv(timeout=0) == 7
        assert [ready.key for ready in one.wait(timeout=30)] == ["sub"]
        with pytest.raises(shmcomm.DisconnectedError):
            sub.recv(timeout=0)
        sub.close()
        assert one.wait(timeout=0) == [] and len(one) == 0


def test_timers_are_ready_for_each_time():
    with shmcomm.WaitSet() as timers:
        timers.add_timer("once", 0.05)
        assert timers.wait(timeout=30) == [shmcomm.Ready("once", "timer", ticks=1)]
        assert len(timers) == 0 and timers.wait() == []
        timers.add_interval("again", 0.01)
        time.sleep(0.1)
        [ready] = timers.wait(timeout=30)
        assert ready.key == "again" and ready.ticks >= 5
        for wrong in (0.0, -1.0, float("nan"), float("inf")):
            with pytest.raises(ValueError, match="every"):
                timers.add_interval("wrong", wrong)


def test_files_are_ready_to_read_and_write():
    read, write = os.pipe()
    with shmcomm.WaitSet() as files:
        files.add_file("read", read)
        files.add_file("write", write, read=False, write=True)
        assert files.wait(timeout=30) == [shmcomm.Ready("write", "file", writable=True)]
        os.write(write, b"x")
        assert {ready.key for ready in files.wait(timeout=30)} == {"read", "write"}
        with pytest.raises(ValueError):
            files.add_file("wrong", -1)
        with pytest.raises(OSError), open("/proc/self/exe", "rb") as file:
            files.add_file("wrong", file)
    os.close(read)
    os.close(write)


def test_event_loop_waits_for_the_descriptor(name):
    with shmcomm.publisher(name, "<i8") as pub, shmcomm.subscriber(name) as sub, shmcomm.WaitSet() as one:
        one.add("sub", sub)
        number = one.fileno()
        assert one.wait(timeout=0) == []
        assert select.select([one], [], [], 0)[0] == []
        pub.send(1)
        assert select.select([number], [], [], 30)[0] == [number]
        assert [ready.key for ready in one.wait(timeout=0)] == ["sub"]


def test_task_waits_for_a_set(name):
    async def receive():
        with shmcomm.subscriber(name) as sub, shmcomm.WaitSet() as one:
            one.add("sub", sub)
            one.add_interval("tick", 0.01)
            loop = asyncio.get_running_loop()
            loop.call_later(0.2, pub.send, 1)
            ticks = 0
            while True:
                for ready in await asyncio.wait_for(one.wait_async(), 30):
                    if ready.key == "sub":
                        return sub.recv(timeout=0), ticks
                    ticks += ready.ticks

    with shmcomm.publisher(name, "<i8") as pub:
        received, ticks = asyncio.run(receive())
        assert received == 1 and ticks >= 5


def test_wrong_members_and_closed_sets_are_refused(name):
    one = shmcomm.WaitSet()
    with shmcomm.replier(name, "<i8", "<i8") as service, shmcomm.requester(name) as client:
        one.add("service", service)
        with pytest.raises(TypeError, match="a set waits for"):
            one.add("client", client)
        with pytest.raises(TypeError):
            one.add("none", None)
        service.close()
        with pytest.raises(shmcomm.ClosedError, match="Replier is closed"):
            one.add("closed", service)
    assert repr(one) == "WaitSet([])"
    one.close()
    one.close()
    with pytest.raises(shmcomm.ClosedError, match="this WaitSet is closed"):
        one.wait(0)


def test_interrupt_ends_a_wait(name, program):
    code = """
import sys, shmcomm
with shmcomm.publisher(sys.argv[1], "<i8"), shmcomm.subscriber(sys.argv[1]) as sub, shmcomm.WaitSet() as one:
    one.add("sub", sub)
    print("ready", flush=True)
    one.wait()
"""
    other = program(code, name)
    assert other.line() == "ready"
    time.sleep(0.3)
    other.process.send_signal(signal.SIGINT)
    code, _, errors = other.finish()
    assert "KeyboardInterrupt" in errors and code != 0


def test_members_that_left_are_forgotten(name):
    """The tables of a set do not grow with the members that it had."""
    with shmcomm.publisher(name, "<i8") as pub, shmcomm.WaitSet() as one:
        for number in range(50):
            sub = shmcomm.subscriber(name)
            one.add(("closed", number), sub)
            sub.close()
            one.add(("garbage", number), shmcomm.subscriber(name))
            one.add("removed", pub)
            assert one.remove("removed") is True
            with pytest.raises(TypeError):
                one.add("refused", None)
            one.add_timer(("timer", number), 0.0)
            assert [ready.key for ready in one.wait(timeout=5)] == [("timer", number)]
        assert len(one) == 0
        assert (one._keys, one._members, one._ends, one._timers) == ({}, {}, {}, set())
        assert pub._followers == {}


def test_key_of_a_member_that_left_is_not_given_to_another(name):
    with shmcomm.publisher(name, "<i8") as pub, shmcomm.subscriber(name) as second, shmcomm.WaitSet() as one:
        first = shmcomm.subscriber(name)
        one.add("key", first)
        one.add("key", second)
        first.close()
        pub.send(1)
        assert [ready.key for ready in one.wait(timeout=5)] == ["key"] and len(one) == 1
        assert one.remove("key") is True and len(one) == 0


def test_several_tasks_wait_for_a_set(name):
    """Each task has a descriptor of its own, and leaves none open."""

    async def both():
        with shmcomm.subscriber(name) as sub, shmcomm.WaitSet() as one:
            one.add("sub", sub)
            one.fileno()
            before = len(os.listdir("/proc/self/fd"))
            tasks = [asyncio.create_task(one.wait_async()) for _ in range(3)]
            await asyncio.sleep(0.05)
            tasks.pop().cancel()
            await asyncio.sleep(0.05)
            pub.send(1)
            found = await asyncio.wait_for(asyncio.gather(*tasks), 30)
            assert [[ready.key for ready in one] for one in found] == [["sub"], ["sub"]]
            assert len(os.listdir("/proc/self/fd")) == before
            # A reader of the program on the descriptor of the set stays.
            readable = asyncio.Event()
            asyncio.get_running_loop().add_reader(one.fileno(), readable.set)
            assert await one.wait_async()
            await asyncio.wait_for(readable.wait(), 30)
            assert asyncio.get_running_loop().remove_reader(one.fileno()) is True

    with shmcomm.publisher(name, "<i8") as pub:
        asyncio.run(both())


def test_thread_that_waits_keeps_no_other_out(name):
    with shmcomm.publisher(name, "<i8") as pub, shmcomm.subscriber(name) as sub, shmcomm.WaitSet() as one:
        one.add("sub", sub)
        found = []
        threads = [threading.Thread(target=lambda: found.append(one.wait()[0].key)) for _ in range(2)]
        for thread in threads:
            thread.start()
        time.sleep(0.1)
        # Each of these calls waited for many seconds when a thread that sleeps took the lock again at once.
        started = time.monotonic()
        for _ in range(10):
            assert one.wait(timeout=0) == []
            assert one.wait(timeout=0.02) == []
            assert len(one) == 1
        with pytest.raises(asyncio.TimeoutError):
            asyncio.run(asyncio.wait_for(one.wait_async(), 0.2))
        # Now the threads sleep in the descriptor.
        for _ in range(10):
            assert one.wait(timeout=0) == []
            assert one.wait(timeout=0.02) == []
        assert time.monotonic() - started < 30
        pub.send(1)
        for thread in threads:
            thread.join(timeout=30)
        assert found == ["sub", "sub"]


def test_close_meets_a_task_that_begins_to_wait(name):
    with shmcomm.publisher(name, "<i8"), shmcomm.subscriber(name) as sub:
        for turn in range(200):
            one, outcomes = shmcomm.WaitSet(), []
            one.add("sub", sub)
            begun = threading.Event()

            async def task():
                begun.set()
                try:
                    await asyncio.wait_for(one.wait_async(), 30)
                except BaseException as error:
                    outcomes.append(type(error))

            thread = threading.Thread(target=lambda: asyncio.run(task()))
            thread.start()
            begun.wait(30)
            time.sleep(turn % 20 * 1e-5)
            one.close()
            thread.join(timeout=30)
            assert outcomes == [shmcomm.ClosedError]


def test_close_ends_the_waits_of_threads_and_tasks(name):
    with shmcomm.publisher(name, "<i8"), shmcomm.subscriber(name) as sub:
        one, outcomes = shmcomm.WaitSet(), []
        one.add("sub", sub)

        def wait():
            try:
                one.wait()
            except shmcomm.ClosedError as error:
                outcomes.append(str(error))

        async def task():
            with pytest.raises(shmcomm.ClosedError, match="this WaitSet is closed"):
                await asyncio.wait_for(one.wait_async(), 30)
            outcomes.append("task")

        threads = [threading.Thread(target=wait), threading.Thread(target=lambda: asyncio.run(task()))]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        started = time.monotonic()
        one.close()
        for thread in threads:
            thread.join(timeout=30)
        assert time.monotonic() - started < 2
        assert sorted(outcomes) == ["task", "this WaitSet is closed; open another one"]
        with pytest.raises(shmcomm.ClosedError):
            one.add("sub", sub)
        assert sub.recv(timeout=0) is None

