"""Tables of latest values: loads, stores, waits, deaths of writers, and tables shared with Rust."""

import asyncio
import dataclasses
import os
import threading
import time
from typing import Annotated

import numpy as np
import pytest
from conftest import finished

import shmcomm

POSE = np.dtype([("x", "<f8"), ("y", "<f8")])
#: The layout of an encoded value of at most 64 bytes, without its codec.
RAW = shmcomm.Schema('{"size":72,"list":64,"offset":8,"item":{"size":1,"type":"|u1"}}')
KEYS = {"battery": "<f4", "pose": POSE, "settings": shmcomm.MSGPACK.bounded(64)}


def test_reader_loads_what_was_stored(name):
    with shmcomm.table_writer(name, "battery", KEYS) as battery, shmcomm.table_writer(name, "pose") as pose:
        before = np.datetime64(time.time_ns(), "ns")
        assert battery.store(0.5) == 1 and battery.store(0.75) == 2 and battery.version == 2
        assert pose.store((1.5, 2.5)) == 1
        with shmcomm.table_reader(name) as robot:
            assert robot.keys == ("battery", "pose", "settings") and robot.name == name
            latest = robot.load("battery")
            assert (latest.value, latest.version) == (np.float32(0.75), 2)
            assert before <= latest.time <= np.datetime64(time.time_ns(), "ns")
            assert robot.load("settings") is None and robot.version("pose") == 1
            both = robot.load_set("pose", "battery")
            assert list(both) == ["pose", "battery"]
            assert both["pose"].value.tolist() == (1.5, 2.5) and both["battery"] == latest
            assert list(robot.load_set()) == list(KEYS)
            assert robot.writers("pose") == [os.getpid()] and robot.writers("settings") == []
            assert robot.follow_error is None and robot.schemas["pose"].dtype == POSE
        with pytest.raises(shmcomm.ClosedError):
            robot.load("battery")
    with pytest.raises(shmcomm.ClosedError):
        battery.store(1.0)


def test_dataclasses_and_encoded_values_come_back(name):
    @dataclasses.dataclass
    class Mode:
        number: Annotated[int, "u4"]
        rate: float = 2.0

    keys = {"mode": Mode, "settings": shmcomm.MSGPACK.bounded(32)}
    with shmcomm.table_writer(name, "mode", keys) as mode, shmcomm.table_writer(name, "settings", keys) as settings:
        mode.store(Mode(3))
        settings.store({"gain": [1, 2]})
        for wanted in ({"mode": Mode}, {"mode": Mode, "settings": shmcomm.MSGPACK}):
            with shmcomm.table_reader(name, wanted) as robot:
                assert robot.load("mode").value == Mode(3)
                assert robot.load("settings").value == {"gain": [1, 2]}
                assert robot.schemas["settings"] == shmcomm.MSGPACK.bounded(32)
        with pytest.raises(shmcomm.MessageTooLongError, match="takes 42 bytes, but there is room for 32") as caught:
            settings.store("x" * 40)
        assert (caught.value.size, caught.value.capacity) == (42, 32)
        with pytest.raises(shmcomm.TypeMismatchError, match="key `mode`"):
            shmcomm.table_reader(name, {"mode": shmcomm.MSGPACK})


def test_stored_time_is_that_of_the_program(name):
    with shmcomm.table_writer(name, "battery", KEYS) as battery, shmcomm.table_reader(name) as robot:
        times = (0, -7, time.time_ns(), np.int64(5), np.datetime64("2026-12-01T12:00:00.000000001"), np.datetime64(3, "s"))
        for version, at in enumerate(times, 1):
            assert battery.store(0.5, at=at) == version
            assert robot.load("battery").time == (at if isinstance(at, np.datetime64) else np.datetime64(int(at), "ns"))
        battery.store(0.5, at=robot.load("battery").time)
        assert robot.load("battery").time == np.datetime64(3, "s")
        for wrong in (1 << 63, np.datetime64("NaT", "s"), np.datetime64("9999-01-01"), np.datetime64("2026", "Y")):
            with pytest.raises(ValueError, match="`at` is"):
                battery.store(0.5, at=wrong)
        for wrong in (1.5, "now"):
            with pytest.raises(TypeError):
                battery.store(0.5, at=wrong)
        with pytest.raises(TypeError):
            battery.store(0.5, 7)
        assert battery.version == len(times) + 1


def test_codec_comes_from_the_table(name):
    keys = {"settings": shmcomm.PICKLE.bounded(64), "raw": RAW}
    with shmcomm.table_writer(name, "settings", keys) as settings, shmcomm.table_writer(name, "raw") as raw:
        settings.store({1, 2})
        raw.store([0x91, 7])
        with shmcomm.table_reader(name) as robot:
            assert robot.load("settings").value == {1, 2}
            assert robot.load("raw").value["items"][:2].tolist() == [0x91, 7]
        # The program names the codec of a key whose table does not.
        with shmcomm.table_reader(name, {"raw": shmcomm.MSGPACK}) as robot:
            assert robot.load("raw").value == [7]
        # The bytes of the value, for a program that does not decode it.
        with shmcomm.table_reader(name, {"settings": RAW}) as robot:
            assert robot.load("settings").value["len"] > 0


def test_two_codecs_of_one_key_are_a_mismatch(name):
    both = "there encoded with `pickle`, here with `msgpack`; use one codec for this value in both programs"
    with shmcomm.table_writer(name, "settings", {"settings": shmcomm.PICKLE.bounded(64)}):
        for keys in ({"settings": shmcomm.MSGPACK}, {"settings": shmcomm.MSGPACK.bounded(64)}):
            with pytest.raises(shmcomm.TypeMismatchError, match=f"key `settings`: {both}"):
                shmcomm.table_reader(name, keys)
        with pytest.raises(shmcomm.TypeMismatchError, match=f"field `settings`: {both}"):
            shmcomm.table_writer(name, "settings", {"settings": shmcomm.MSGPACK.bounded(64)})


def test_undecodable_values_name_key_codec_and_length(name):
    keys = {"settings": shmcomm.MSGPACK.bounded(64)}
    with shmcomm.table_writer(name, "settings", keys) as settings, shmcomm.table_reader(name) as robot:
        for foreign in (b"\xc1no", b"", b"\x92\x07"):
            settings._native.store(len(foreign).to_bytes(8, "little") + foreign.ljust(64, b"\0"), None)
            text = f"channel `.*`: the value of key `settings` is invalid: no value of codec `msgpack` in {len(foreign)} bytes"
            with pytest.raises(shmcomm.InvalidMessageError, match=text):
                robot.load("settings")
            with pytest.raises(shmcomm.InvalidMessageError, match=text):
                robot.load_set()
        settings.store([1])
        assert robot.load("settings").value == [1]


def test_messages_of_a_bounded_codec_are_decoded(name):
    with shmcomm.publisher(name, shmcomm.MSGPACK.bounded(64)) as values, shmcomm.subscriber(name) as received:
        values.send({"gain": 2.5})
        assert received.recv(timeout=30) == {"gain": 2.5}


def test_values_of_another_layout_are_converted(name):
    with shmcomm.table_writer(name, "pose", {"pose": POSE, "count": "<u2"}) as pose:
        pose.store((1.0, 2.0))
        with shmcomm.table_reader(name, {"pose": [("y", "<f8")]}) as robot:
            assert robot.load("pose").value["y"] == 2.0 and robot.load("pose").value.dtype.names == ("y",)
        with pytest.raises(shmcomm.TypeMismatchError, match="key `pose`.*`z`"):
            shmcomm.table_reader(name, {"pose": [("z", "<f8")]})


def test_unknown_keys_list_the_known_ones(name):
    known = "no key `mode`; its keys are `battery`, `pose`, `settings`"
    with shmcomm.table_writer(name, "battery", KEYS), shmcomm.table_reader(name) as robot:
        for call in (robot.load, robot.load_set, robot.version, robot.wait, robot.changed, robot.changes, robot.writers):
            with pytest.raises(shmcomm.UnknownKeyError, match=known):
                call("mode")
        with pytest.raises(shmcomm.UnknownKeyError, match="no key 3;"):
            robot.load(3)
        for keys in (None, KEYS):
            with pytest.raises(shmcomm.UnknownKeyError, match=known):
                shmcomm.table_writer(name, "mode", keys)
        with pytest.raises(shmcomm.UnknownKeyError, match=known):
            shmcomm.table_reader(name, {"mode": "<f4"})


def test_wrong_values_and_declarations_are_refused(name):
    with shmcomm.table_writer(name, "battery", KEYS) as battery:
        with pytest.raises(shmcomm.InvalidMessageError, match="float32"):
            battery.store("full")
        with pytest.raises(shmcomm.InvalidMessageError, match="4"):
            battery.store(b"12345")
        assert battery.version == 0
        with pytest.raises(shmcomm.AlreadyPublishedError, match=f"process {os.getpid()} .*key `battery`"):
            shmcomm.table_writer(name, "battery")
        with pytest.raises(shmcomm.TypeMismatchError):
            shmcomm.table_writer(name, "battery", {"battery": "<f8"})
        with pytest.raises(shmcomm.ChannelMismatchError, match="one writer in the segment|one writer at a time"):
            shmcomm.table_writer(name, "pose", KEYS, many_writers=True)
        with pytest.raises(shmcomm.ChannelMismatchError, match="table"):
            shmcomm.subscriber(name, timeout=0)
    with pytest.raises(shmcomm.SchemaError, match=r"key `a`: its values have no fixed layout; use `shmcomm.MSGPACK.bounded"):
        shmcomm.table_writer(name, "a", {"a": shmcomm.MSGPACK})
    with pytest.raises(shmcomm.SchemaError, match="key `a`: dtype object"):
        shmcomm.table_writer(name, "a", {"a": "O"})
    with pytest.raises(shmcomm.SchemaError, match="give 1 to"):
        shmcomm.MSGPACK.bounded(0)
    with pytest.raises(shmcomm.InvalidGeometryError, match="at least one key"):
        shmcomm.table_writer(name, "a", {})
    with pytest.raises(shmcomm.NotFoundError):
        shmcomm.table_writer(name, "battery")
    with pytest.raises(shmcomm.NotFoundError):
        shmcomm.table_reader(name, timeout=0)


def test_wait_is_for_the_given_keys(name):
    with shmcomm.table_writer(name, "battery", KEYS) as battery, shmcomm.table_writer(name, "pose") as pose:
        with shmcomm.table_reader(name) as robot:
            assert robot.wait(timeout=0) is False
            battery.store(0.5)
            assert robot.wait("pose", "settings", timeout=0.02) is False
            assert robot.wait("battery", timeout=0) and robot.wait() and robot.wait("pose", "battery")
            assert robot.changed() == ["battery"] and robot.changed("pose") == []
            robot.load("battery")
            later = threading.Timer(0.05, pose.store, [(1.0, 2.0)])
            later.start()
            assert robot.wait("battery", "pose", timeout=30) and robot.changed() == ["pose"]
            later.join()
            assert dict(robot.changes("pose", timeout=0.0))["pose"].value["x"] == 1.0


def test_close_ends_the_wait_of_another_thread(name):
    with shmcomm.table_writer(name, "battery", KEYS):
        robot = shmcomm.table_reader(name)
        later = threading.Timer(0.05, robot.close)
        later.start()
        with pytest.raises(shmcomm.ClosedError):
            robot.wait()
        later.join()


def test_loads_go_on_while_a_thread_waits(name):
    with shmcomm.table_writer(name, "battery", KEYS) as battery, shmcomm.table_reader(name) as robot:
        battery.store(0.5)
        waits = threading.Thread(target=robot.wait, args=("pose",), kwargs={"timeout": 0.3})
        waits.start()
        while waits.is_alive():
            assert robot.load("battery").version == 1
            assert robot.load_set("battery", "pose")["battery"].value == 0.5
        waits.join()


def test_tasks_iterate_over_changes(name):
    with shmcomm.table_writer(name, "battery", KEYS) as battery, shmcomm.table_reader(name) as robot:

        async def receive():
            found = []
            async for key, latest in robot:
                found.append((key, float(latest.value)))
                if len(found) == 3:
                    return found
                asyncio.get_running_loop().call_later(0.01, battery.store, len(found))

        battery.store(0)
        assert asyncio.run(receive()) == [("battery", 0.0), ("battery", 1.0), ("battery", 2.0)]

        async def cancelled():
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(robot.wait_async("pose"), 0.05)

        asyncio.run(cancelled())
        pair = next(iter(robot.changes("battery", timeout=0)), None)
        assert pair is None


def test_readers_and_their_keys_are_members_of_sets(name):
    with shmcomm.table_writer(name, "battery", KEYS) as battery, shmcomm.table_writer(name, "pose") as pose:
        with shmcomm.table_reader(name) as robot, shmcomm.WaitSet() as ready:
            ready.add("any", robot)
            ready.add("pose", robot.changes("pose", "settings"))
            assert ready.wait(timeout=0) == []
            later = threading.Timer(0.05, battery.store, [0.5])
            later.start()
            assert [one.key for one in ready.wait(timeout=30)] == ["any"]
            later.join()
            pose.store((0.0, 0.0))
            assert sorted(one.key for one in ready.wait(timeout=30)) == ["any", "pose"]
            robot.load_set()
            assert ready.wait(timeout=0) == []
            robot.close()
            assert ready.wait(timeout=0) == [] and len(ready) == 0


def test_several_writers_store_one_key(name):
    keys = {"alarm": "<u4"}
    with shmcomm.table_writer(name, "alarm", keys, many_writers=True) as first:
        with shmcomm.table_writer(name, "alarm") as second, shmcomm.table_reader(name) as station:
            assert (first.store(1), second.store(2), first.store(3)) == (1, 2, 3)
            assert station.load("alarm").value == 3
            assert station.writers("alarm") == [os.getpid()] * 2


def test_reader_follows_a_new_segment(name):
    with shmcomm.table_writer(name, "battery", KEYS) as battery:
        battery.store(0.5)
        robot = shmcomm.table_reader(name)
    with robot:
        assert robot.load("battery").value == 0.5
        with shmcomm.table_writer(name, "battery", KEYS) as battery:
            battery.store(0.25)
            assert robot.wait("battery", timeout=30) and robot.load("battery").value == 0.25
        with shmcomm.table_writer(name, "battery", {"battery": "<f8"}):
            robot.wait("battery", timeout=0.2)
            assert "another layout" in robot.follow_error


WRITER = """
import sys, shmcomm
with shmcomm.table_writer(sys.argv[1], "pose", {"battery": "<f4", "pose": ("<f8", 256)}) as pose:
    number = 0
    while True:
        number += 1
        pose.store([float(number)] * 256)
        if number == 100:
            print("up", flush=True)
"""


def test_killed_writer_leaves_the_last_value(name, program):
    process = program(WRITER, name)
    assert process.line() == "up"
    with shmcomm.table_reader(name) as robot:
        with pytest.raises(shmcomm.AlreadyPublishedError, match=str(process.process.pid)):
            shmcomm.table_writer(name, "pose")
        process.process.kill()
        process.process.wait()
        latest = robot.load("pose")
        assert latest.version >= 100 and np.all(latest.value == latest.version)
        assert robot.writers("pose") == []
        with shmcomm.table_writer(name, "pose") as pose:
            assert pose.store([0.5] * 256) == latest.version + 1
            assert robot.load("pose").value[0] == 0.5


def test_child_of_a_fork_is_refused(name):
    with shmcomm.table_writer(name, "battery", KEYS) as battery, shmcomm.table_reader(name) as robot:
        battery.store(0.5)
        child = os.fork()
        if child == 0:
            refused = 0
            for call in (lambda: battery.store(1.0), lambda: robot.load("battery"), lambda: robot.wait(timeout=0)):
                try:
                    call()
                except shmcomm.ForkedError:
                    refused += 1
            os._exit(refused)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
        assert robot.load("battery").value == 0.5


def test_python_reads_and_writes_a_table_of_rust(name, peer):
    rust = peer("write table")
    assert rust.stdout.readline() == "ready\n"
    with shmcomm.table_reader(name) as robot:
        assert robot.load("battery").value == 0.5
        assert robot.load("settings").value == {"xyz": [0.5, 7.0]}
        with shmcomm.table_writer(name, "pose") as pose:
            pose.store((1.5, 2.5))
            finished(rust)


def test_rust_reads_a_table_of_python(name, peer):
    with shmcomm.table_writer(name, "battery", KEYS) as battery, shmcomm.table_writer(name, "settings", KEYS) as settings:
        battery.store(0.25)
        rust = peer("read table")
        assert rust.stdout.readline() == "ready\n"
        settings.store({"xyz": [0.5, 3.0]})
        finished(rust)


def test_killed_writer_in_rust_is_succeeded(name, peer):
    rust = peer("store until killed")
    assert rust.stdout.readline() == "ready\n"
    with shmcomm.table_reader(name) as robot:
        while robot.version("pose") < 100:
            assert robot.wait("pose", timeout=30)
            robot.load("pose")
        rust.kill()
        rust.wait()
        latest = robot.load("pose")
        assert latest.value.tolist() == (latest.version - 1.0, 1.0 - latest.version)
        with shmcomm.table_writer(name, "pose") as pose:
            assert pose.store((0.0, 0.0)) == latest.version + 1
