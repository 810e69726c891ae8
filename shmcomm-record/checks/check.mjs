// Compares every field of the recording of `samples` with its value, as the decoder of Foxglove reads it.
import { McapStreamReader } from "@mcap/core";
import rosmsg from "@foxglove/rosmsg";
import serialization from "@foxglove/rosmsg2-serialization";
import assert from "node:assert";
import fs from "node:fs";

const directory = process.argv[2];
const { messages: expected, fingerprints } = JSON.parse(fs.readFileSync(`${directory}/expected.json`, "utf8").replace(/:(-?\d{16,})/g, ':"int $1"'));
const ENUM = { Idle: 1, Run: 4, Mono8: 0, Rgb8: 1 };
const KIND = { Stop: 0, Go: 3, Say: 9 };
let checked = 0;

function compare(path, want, got) {
  const list = Array.isArray(got) || ArrayBuffer.isView(got);
  if (list && !Array.isArray(want)) {
    assert.equal(got.length, want === null ? 0 : 1, path);
    if (want !== null) return compare(path, want, got[0]);
  } else if (list) {
    const helper = got.length > 0 && typeof got[0] === "object" && "value" in got[0];
    want = helper ? want : want.flat(9);
    assert.equal(got.length, want.length, path);
    want.forEach((item, number) => compare(`${path}[${number}]`, item, helper ? got[number].value : got[number]));
    if (want.length > 0) return;
  } else if (typeof got === "object" && "nanosec" in got) {
    const total = BigInt(got.sec) * 1000000000n + BigInt(got.nanosec);
    assert.equal(total, BigInt(String(want).replace("int ", "")), path);
  } else if (typeof got === "object" && "kind" in got) {
    const [[variant, content]] = Object.entries(want);
    assert.equal(got.kind, KIND[variant], path);
    for (const [name, value] of Object.entries(got)) {
      if (name !== "kind" && name !== variant.toLowerCase()) assert.equal(value.length, 0, `${path}.${name}`);
    }
    return compare(`${path}.${variant}`, content, got[variant.toLowerCase()]);
  } else if (typeof got === "object") {
    assert.deepEqual(Object.keys(got), Object.keys(want), path);
    for (const [name, value] of Object.entries(want)) compare(`${path}.${name}`, value, got[name]);
    return;
  } else if (typeof want === "string" && want.startsWith("int ")) {
    assert.equal(BigInt(got), BigInt(want.slice(4)), path);
  } else if (typeof want === "string" && typeof got === "number") {
    assert.equal(got, want in ENUM ? ENUM[want] : want.codePointAt(0), path);
  } else if (typeof got === "bigint") {
    assert.equal(got, BigInt(want), path);
  } else if (typeof want === "number") {
    // Exact, for both precisions: the wanted value is that in the slot.
    assert.ok(Object.is(got, want), `${path}: ${got} and ${want}`);
  } else {
    assert.equal(got, want, path);
  }
  checked += 1;
}

// A chunk of LZ4 needs a decoder of its own, so `.ci/record` gives a file without compression.
const reader = new McapStreamReader({ validateCrcs: true });
reader.append(fs.readFileSync(`${directory}/plain.mcap`));
const schemas = new Map();
const readers = new Map();
let number = 0;
for (let record; (record = reader.nextRecord()); ) {
  if (record.type === "Schema") schemas.set(record.id, record);
  if (record.type === "Channel" && !readers.has(record.id)) {
    const text = new TextDecoder().decode(schemas.get(record.schemaId).data);
    const facts = JSON.parse(record.metadata.get("shmcomm.channel"));
    assert.deepEqual(facts.fingerprints, fingerprints[record.topic], record.topic);
    readers.set(record.id, new serialization.MessageReader(rosmsg.parse(text, { ros2: true })));
  }
  if (record.type === "Message") {
    compare(`message ${number}`, expected[number], readers.get(record.channelId).readMessage(record.data));
    number += 1;
  }
}
assert.equal(number, expected.length);
console.log(`plain.mcap: ${number} messages, ${checked} values are equal`);
