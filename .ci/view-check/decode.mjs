// Reads the channels of the example `demo check` with the stock client, and compares every field.
// usage: node decode.mjs ws://ADDRESS SUBPROTOCOL
import assert from "node:assert/strict";
import protocol from "@foxglove/ws-protocol";
import rosmsg from "@foxglove/rosmsg";
import { MessageReader } from "@foxglove/rosmsg2-serialization";
import WebSocket from "ws";
import { expected } from "./expected.mjs";

const [address, name] = process.argv.slice(2);
const socket = new WebSocket(address, [name]);
const client = new protocol.FoxgloveClient({ ws: socket });
const open = new Map();
const left = new Set(Object.keys(expected));
let figures = false;

// Plain values: typed arrays as lists, long integers as they are.
function plain(value) {
  if (ArrayBuffer.isView(value)) return [...value];
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part)]));
}

function reader(channel) {
  if (channel.encoding === "json") {
    assert.equal(channel.schemaEncoding, "jsonschema");
    JSON.parse(channel.schema);
    return (data) => JSON.parse(new TextDecoder().decode(data));
  }
  assert.deepEqual([channel.encoding, channel.schemaEncoding], ["cdr", "ros2msg"]);
  const messages = new MessageReader(rosmsg.parse(channel.schema, { ros2: true }));
  return (data) => messages.readMessage(data);
}

client.on("error", (error) => { throw error; });
client.on("status", (status) => console.log("status:", status.message));
client.on("serverInfo", (info) => assert.match(info.name, /^shmcomm /));
client.on("advertise", (channels) => {
  for (const channel of channels) open.set(client.subscribe(channel.id), { topic: channel.topic, read: reader(channel) });
});
client.on("message", ({ subscriptionId, data, timestamp }) => {
  const { topic, read } = open.get(subscriptionId);
  const message = plain(read(data));
  assert.ok(timestamp > 1_600_000_000_000_000_000n);
  if (topic === "shmcomm.channels") {
    figures ||= message.channels.some((one) => one.channel === "check/all" && one.sent > 0);
  } else {
    assert.deepEqual(message, expected[topic], topic);
    left.delete(topic);
  }
  if (left.size === 0 && figures) {
    assert.equal(socket.protocol, name);
    console.log(`${name}: ${Object.keys(expected).length} channels and the figures, every field is equal`);
    process.exit(0);
  }
});
setTimeout(() => {
  console.error(`${name}: nothing came from ${[...left].join(", ") || "the figures"}`);
  process.exit(1);
}, 30000);
