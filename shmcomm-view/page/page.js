// The page: the table of channels, and the messages of the selected one, over one WebSocket.
"use strict";

const $ = (id) => document.getElementById(id);
const make = (tag, text, className) => {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
};

const plot = new plots.Plot($("plot"));
const rows = new Map();
const leaves = new Map();
let socket = null;
let channels = [];
let chosen = fromAddress();
let subscription = null; // { id, channelId }
let nextSubscription = 1;
let paused = false;
let newest = null;
let counts = null;

// Returns the channel that the address names behind `#`, or null.
function fromAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1)) || null;
  } catch {
    return null;
  }
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/`, "shmcomm.view.v1");
  socket.binaryType = "arraybuffer";
  socket.onopen = () => state("live", "live");
  socket.onmessage = (event) => (typeof event.data === "string" ? text(JSON.parse(event.data)) : data(event.data));
  socket.onclose = () => {
    subscription = null;
    counts = null;
    state("waiting", "not connected, trying again");
    setTimeout(connect, 1000);
  };
}

function state(kind, words) {
  $("state").className = `state ${kind}`;
  $("state").textContent = words;
}

function send(operation) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(operation));
}

function text(frame) {
  if (frame.op === "serverInfo") {
    const rate = Number(frame.metadata.rate);
    $("rate").textContent = rate ? `at most ${values.short(rate)} messages/s per channel` : "every message";
  } else if (frame.op === "figures") {
    figures(frame);
  } else if (frame.op === "status") {
    // A subscription that was refused, or that the server has ended: the next figures start another one.
    if (subscription && frame.id === `subscription-${subscription.id}`) subscription = null;
    say(frame.level, frame.message);
  }
}

// Shows a message of the server for some seconds. The state of the publisher has a place of its own.
function say(level, words) {
  if (level === 0) return;
  const place = $("messages");
  if ([...place.children].some((child) => child.textContent === words)) return;
  const line = make("p", words, `level${level}`);
  place.append(line);
  while (place.children.length > 4) place.firstChild.remove();
  setTimeout(() => line.remove(), 10000);
}

function figures(frame) {
  channels = frame.channels;
  counts = frame.subscriptions.find((one) => one.id === subscription?.id) ?? null;
  if (frame.problem) say(2, frame.problem);
  table();
  follow();
  detail();
}

const filtered = () => {
  const words = $("filter").value.trim().toLowerCase();
  return channels.filter((one) => one.channel.toLowerCase().includes(words));
};

function table() {
  const body = $("channels").tBodies[0];
  const shown = filtered();
  const seen = new Set();
  shown.forEach((one, index) => {
    // A service of the Python library has two segments of one name.
    const key = `${one.channel}\n${one.pattern}\n${one.message}`;
    seen.add(key);
    let row = rows.get(key);
    if (!row) {
      row = make("tr");
      const cell = make("td");
      const button = make("button", one.channel);
      button.type = "button";
      cell.append(button, make("small"));
      row.append(cell, ...Array.from({ length: 5 }, () => make("td", "", "n")));
      row.addEventListener("click", () => { if (row.dataset.open) choose(one.channel); });
      rows.set(key, row);
    }
    fill(row, one);
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null);
  });
  for (const [key, row] of rows) {
    if (!seen.has(key)) { row.remove(); rows.delete(key); }
  }
  $("none").hidden = channels.length > 0;
  const live = channels.filter((one) => one.state === "live").length;
  const rate = channels.reduce((sum, one) => sum + (one.rate ?? 0), 0);
  $("totals").textContent = `${live} of ${channels.length} channels live · ${values.short(rate)} messages/s`;
}

function put(cell, words, className = "n") {
  if (cell.textContent !== words) cell.textContent = words;
  if (cell.className !== className) cell.className = className;
}

function fill(row, one) {
  const [name, rate, bytes, subs, lost, lag] = row.cells;
  const open = one.id !== null;
  row.dataset.open = open ? "1" : "";
  const selected = one.channel === chosen && open;
  row.className = `${one.state} ${open ? "open" : ""} ${selected ? "chosen" : ""}`;
  name.firstChild.disabled = !open;
  name.firstChild.setAttribute("aria-pressed", String(selected));
  const state = one.state === "live" ? "" : ` · ${one.state}`;
  put(name.lastChild, one.problem ?? `${pattern(one)}${one.message}${state}`, one.problem ? "bad" : "");
  put(rate, one.rate === null ? "" : `${values.short(one.rate)}/s`);
  put(bytes, one.bytes_per_s === null ? "" : `${values.short(one.bytes_per_s, "B")}/s`);
  put(subs, one.problem ? "" : known(one.receivers));
  put(lost, one.problem ? "" : known(one.lost), one.lost ? "n warn" : "n");
  const waits = one.lag ?? one.waiting;
  put(lag, known(waits));
}

// Writes a number that the server may not know.
function known(n) {
  return n === null || n === undefined ? "–" : values.count(n);
}

function pattern(one) {
  return one.pattern === "publish/subscribe" ? "" : `${one.pattern} · `;
}

function choose(channel) {
  if (channel === chosen) return;
  chosen = channel;
  history.replaceState(null, "", `#${encodeURIComponent(channel)}`);
  release();
  table();
  follow();
  detail();
}

function release() {
  if (subscription) send({ op: "unsubscribe", subscriptionIds: [subscription.id] });
  subscription = null;
  newest = null;
  counts = null;
  leaves.clear();
  $("values").tBodies[0].replaceChildren();
  plot.clear();
}

// Subscribes to the chosen channel, again if its messages have another form now.
function follow() {
  const one = channels.find((one) => one.channel === chosen && one.id !== null);
  if (subscription && subscription.channelId !== one?.id) release();
  if (!one || subscription || socket.readyState !== WebSocket.OPEN) return;
  subscription = { id: nextSubscription++, channelId: one.id };
  send({ op: "subscribe", subscriptions: [subscription] });
}

function data(buffer) {
  const view = new DataView(buffer);
  if (view.getUint8(0) !== 1 || view.getUint32(1, true) !== subscription?.id || paused) return;
  const time = Number(view.getBigUint64(5, true) / 1000n) / 1e6;
  const message = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 13)));
  const numbers = [];
  const parts = [];
  values.walk(message.value, (path, words, n) => {
    parts.push([path, words, n !== null]);
    if (n !== null) numbers.push([path, n]);
  });
  plot.add(time, numbers);
  if (newest === null) requestAnimationFrame(show);
  newest = { position: message.position, parts };
}

function show() {
  if (!newest) return;
  const { position, parts } = newest;
  newest = null;
  const body = $("values").tBodies[0];
  $("empty").hidden = true;
  $("position").textContent = `message #${values.count(position)}`;
  const seen = new Set();
  for (const [path, words, numeric] of parts) {
    seen.add(path);
    let row = leaves.get(path);
    if (!row || (numeric && !row.querySelector("input"))) {
      const made = field(path, numeric);
      if (row) row.replaceWith(made);
      else body.append(made);
      leaves.set(path, made);
      row = made;
    }
    put(row.cells[1], words, "");
    const box = row.querySelector("input");
    if (box) {
      const colour = plot.colour(path);
      if (box.checked !== Boolean(colour)) box.checked = Boolean(colour);
      if (box.dataset.colour !== String(colour)) {
        box.dataset.colour = String(colour);
        box.style.accentColor = colour ?? "";
      }
    }
  }
  for (const [path, row] of leaves) {
    if (!seen.has(path)) { row.remove(); leaves.delete(path); }
  }
}

function field(path, numeric) {
  const row = make("tr");
  const cell = make("td");
  const label = make("label");
  if (numeric) {
    const box = make("input");
    box.type = "checkbox";
    box.title = "Plot this field";
    box.addEventListener("change", () => plot.toggle(path, box.checked));
    label.append(box);
  } else {
    label.append(make("span", "", "space"));
  }
  label.append(make("span", path));
  cell.append(label);
  row.append(cell, make("td"));
  return row;
}

function detail() {
  const one = channels.find((one) => one.channel === chosen && one.id !== null);
  $("choose").hidden = Boolean(one);
  $("choose").textContent = chosen && !one ? `Channel ${chosen} does not exist now.` : "Select a channel to see its messages.";
  const hidden = $("chosen").hidden;
  $("chosen").hidden = !one;
  if (!one) return;
  if (hidden) plot.resize();
  $("name").textContent = one.channel;
  $("facts").textContent = `${one.message} · ${values.count(one.slots)} slots · ${values.count(one.sent)} sent`;
  // The observer knows of publishers that a segment does not list, as those of the Python library.
  const gone = counts ? counts.gone : one.senders === 0;
  const notice = one.problem ?? (gone ? "No publisher is alive. The last message stays." : null);
  $("notice").hidden = !notice;
  $("notice").textContent = notice ?? "";
  if (leaves.size === 0) { $("empty").hidden = false; $("position").textContent = ""; }
  const ends = one.ends.map((end) => {
    const row = make("tr", undefined, end.alive ? "" : "dead");
    row.append(
      make("td", `${end.process} (${end.pid})${end.alive ? "" : " dead"}`),
      make("td", end.role),
      make("td", values.count(end.messages), "n"),
      make("td", known(end.lag), "n"),
      make("td", known(end.lost), end.lost ? "n warn" : "n"),
    );
    return row;
  });
  $("ends").tBodies[0].replaceChildren(...ends);
  const lines = [
    ["Shown", counts?.sent, false],
    ["Left out by the limit of the rate", counts?.skipped, false],
    ["Left out because this page was slow", counts?.dropped, true],
    ["Overwritten before they were read", counts?.missed, true],
    ["Not shown: not valid, or too long", counts?.failed, true],
  ];
  $("counts").replaceChildren(...lines.flatMap(([words, n, bad]) => [
    make("dt", words), make("dd", known(n), n && bad ? "warn" : ""),
  ]));
}

$("filter").addEventListener("input", table);
$("window").addEventListener("change", (event) => {
  plot.window = Number(event.target.value);
  plot.changed = true;
});
$("pause").addEventListener("click", () => {
  paused = !paused;
  plot.paused = paused;
  newest = null;
  $("pause").textContent = paused ? "Continue" : "Pause";
  $("pause").setAttribute("aria-pressed", String(paused));
});
addEventListener("hashchange", () => {
  const channel = fromAddress();
  if (channel) choose(channel);
});
connect();
