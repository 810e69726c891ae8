"""Publishers and pushers whose slots grow when a longer message is sent."""

import numpy as np
import pytest

import shmcomm


@pytest.mark.parametrize("schema, message", [(bytes, b"x" * 5000), (shmcomm.MSGPACK, ["y" * 5000])])
def test_longer_messages_make_the_slots_grow(name, schema, message):
    with shmcomm.publisher(name, schema, slot_size=64, grow=65536) as pub, shmcomm.subscriber(name) as sub:
        short = message[:1] if schema is bytes else ["y"]
        assert pub.send(short) and pub.send(message) and pub.send(short)
        assert [sub.recv(timeout=30) for _ in range(3)] == [short, message, short]
        assert sub.lost == 0
        info = [info for info in shmcomm.list_segments() if info.channel == name]
        assert max(one.slot_size for one in info) >= 5000


def test_longer_loans_make_the_slots_grow(name):
    cloud = shmcomm.Tail("<u8", ("<f4", 3))
    with shmcomm.publisher(name, cloud, slot_size=128, grow=1 << 20) as pub, shmcomm.subscriber(name) as sub:
        with pub.loan(items=1000) as points:
            points[:] = 2.5
        received = sub.recv(timeout=30)
        assert received.items.shape == (1000, 3) and np.all(received.items == 2.5)


@pytest.mark.parametrize("schema, job", [(bytes, b"x" * 5000), (shmcomm.MSGPACK, ["y" * 5000])])
def test_longer_jobs_make_their_slots_grow(name, schema, job):
    shape = {"slots": 4, "slot_size": 64, "grow": 65536}
    with shmcomm.pusher(name, schema, **shape) as jobs, shmcomm.puller(name, schema, **shape) as worker:
        short = job[:1] if schema is bytes else ["y"]
        for _ in range(3):
            assert all(jobs.send(one) for one in (short, job, short))
            assert [worker.recv(timeout=30) for _ in range(3)] == [short, job, short]
        (info,) = (info for info in shmcomm.list_segments() if info.channel == name)
        assert (info.slot_size, info.grow, info.growths) == (8192, 65536, 1)
        # Another end takes the queue as it is.
        with shmcomm.pusher(name, schema) as other, shmcomm.pusher(name) as third:
            assert other.send(job) and third.send(job)
        assert [worker.recv(timeout=30) for _ in range(2)] == [job, job]


@pytest.mark.parametrize("sender, receiver", [("publisher", "subscriber"), ("pusher", "puller")])
def test_messages_beyond_the_limit_are_refused(name, sender, receiver):
    send, receive = getattr(shmcomm, sender), getattr(shmcomm, receiver)
    with send(name, bytes, slot_size=64, grow=256) as ours, receive(name) as theirs:
        with pytest.raises(shmcomm.MessageTooLongError) as caught:
            ours.send(b"x" * 257)
        assert (caught.value.size, caught.value.capacity) == (257, 256)
        assert ours.send(b"x" * 256) and len(theirs.recv(timeout=30)) == 256


def test_limits_that_cannot_be_used_are_refused(name):
    for wrong in (0, -1, 32):
        with pytest.raises(shmcomm.InvalidGeometryError, match="`grow`"):
            shmcomm.publisher(name, bytes, slot_size=64, grow=wrong)
    with pytest.raises(shmcomm.InvalidGeometryError, match="`grow`"):
        shmcomm.publisher(name, "<i8", grow=4096)
    with pytest.raises(shmcomm.InvalidGeometryError, match="`grow`"):
        shmcomm.publisher(name, bytes, slot_size=64, grow=4096, publishers=2)
    for end in (shmcomm.pusher, shmcomm.puller):
        with pytest.raises(shmcomm.InvalidGeometryError, match="`grow`"):
            end(name, "<i8", grow=4096)
