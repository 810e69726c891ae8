"""Compares every field of the recordings of `samples` with its value, as the decoders of PyPI read it."""

import json
import re
import struct
import sys

from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory as ProtobufFactory
from mcap_ros2.decoder import DecoderFactory as Ros2Factory

checked = 0


def names(message):
    """Returns the names of the fields of a decoded message, None if it is none."""
    if hasattr(message, "DESCRIPTOR"):
        return [field.name for field in message.DESCRIPTOR.fields]
    if hasattr(message, "__slots__") and not isinstance(message, (str, bytes, int, float)):
        return list(message.__slots__)
    return None


def flat(items):
    """Returns the items of nested lists."""
    for item in items:
        if isinstance(item, list):
            yield from flat(item)
        else:
            yield item


def is_list(value):
    """Returns True for a decoded array, of any type."""
    return hasattr(value, "__len__") and hasattr(value, "__getitem__") and not isinstance(value, str)


def compare(path, want, got, text):
    """Fails unless the decoded value is the wanted one."""
    global checked
    if is_list(got) and not isinstance(want, list):
        # An option: none, or one.
        assert len(got) == (want is not None), (path, want, got)
        if want is not None:
            return compare(path, want, got[0], text)
        checked += 1
        return
    fields = names(got)
    if fields in (["sec", "nanosec"], ["seconds", "nanos"]):
        assert want == getattr(got, fields[0]) * 10**9 + getattr(got, fields[1]), (path, want, got)
    elif fields == ["value"] and isinstance(want, list):
        return compare(path, want, got.value, text)
    elif isinstance(want, dict) and "kind" in fields:
        # A variant with data: the kind names it, and only its field is there.
        ((variant, content),) = want.items()
        value = getattr(got, variant.lower())
        others = [name for name in fields if name not in ("kind", variant.lower())]
        if text:
            assert re.search(rf"KIND_{variant.upper()}={got.kind}\b", text), (path, got.kind)
            assert all(len(getattr(got, name)) == 0 for name in others), path
        else:
            assert got.HasField(variant.lower()) and not any(got.HasField(name) for name in others), path
        return compare(f"{path}.{variant}", content, value, text)
    elif isinstance(want, dict):
        assert fields == list(want), (path, fields, list(want))
        for name, value in want.items():
            if value is None and not text:
                assert not got.HasField(name), (path, name)
                checked += 1
            else:
                compare(f"{path}.{name}", value, getattr(got, name), text)
        return
    elif isinstance(want, list):
        helper = len(got) > 0 and names(got[0]) == ["value"]
        want = want if helper else list(flat(want))
        assert len(want) == len(got), (path, want, got)
        for number, (wanted, item) in enumerate(zip(want, got)):
            compare(f"{path}[{number}]", wanted, item, text)
        checked += not want
        return
    elif isinstance(want, str) and isinstance(got, int):
        # A character, or a variant of an enum.
        field = path.rsplit(".", 1)[-1].upper()
        if len(want) == 1:
            assert got == ord(want), (path, want, got)
        else:
            values = {"Idle": 1, "Run": 4, "Mono8": 0, "Rgb8": 1}
            assert got == values[want], (path, want, got)
            assert not text or re.search(rf"\b{field}_{want.upper()}={got}\n", text), (path, want, got)
    elif isinstance(want, float):
        # Exact, for both precisions: the wanted value is that in the slot.
        assert struct.pack("d", got) == struct.pack("d", want), (path, want, got)
    else:
        assert got == want and isinstance(got, bool) == isinstance(want, bool), (path, want, got)
    checked += 1


directory = sys.argv[1]
with open(f"{directory}/expected.json") as stream:
    document = json.load(stream)
expected, fingerprints = document["messages"], document["fingerprints"]
for file, factory in [("ros2.mcap", Ros2Factory()), ("protobuf.mcap", ProtobufFactory())]:
    checked = 0
    with open(f"{directory}/{file}", "rb") as stream:
        reader = make_reader(stream, decoder_factories=[factory])
        messages = list(reader.iter_decoded_messages())
    assert len(messages) == len(expected), (file, len(messages))
    for wanted, (schema, channel, _, message) in zip(expected, messages):
        facts = json.loads(channel.metadata["shmcomm.channel"])
        assert facts["fingerprints"] == fingerprints[channel.topic], (channel.topic, facts["fingerprints"])
        compare(schema.name, wanted, message, schema.data.decode() if file == "ros2.mcap" else "")
    print(f"{file}: {len(messages)} messages, {checked} values are equal")
