// Opens the page in Chromium: channels, values and a plot must appear, and nothing may be loaded from elsewhere.
// usage: node page.mjs http://ADDRESS CHROMIUM PROFILE PICTURE
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [address, program, profile, picture] = process.argv.slice(2);
const context = await chromium.launchPersistentContext(profile, {
  executablePath: program,
  headless: true,
  viewport: { width: 1360, height: 820 },
  deviceScaleFactor: 1,
  colorScheme: "light",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const page = context.pages()[0] ?? await context.newPage();
page.setDefaultTimeout(20000);
const wrong = [];
page.on("console", (line) => { if (line.type() === "error") wrong.push(line.text()); });
page.on("pageerror", (error) => wrong.push(String(error)));
page.on("request", (request) => {
  const url = new URL(request.url());
  if (url.host !== new URL(address).host && url.protocol !== "data:") wrong.push(`request to ${url}`);
});

await page.goto(address);
// The channels of the demo, with rates.
await page.getByRole("button", { name: "robot/imu" }).waitFor();
const row = page.locator("#channels tbody tr", { hasText: "robot/imu" });
await page.waitForFunction(() => {
  const row = [...document.querySelectorAll("#channels tbody tr")].find((row) => row.textContent.includes("robot/imu"));
  return row !== undefined && parseFloat(row.cells[1].textContent) > 20 && parseFloat(row.cells[4].textContent) > 0
    && parseFloat(row.cells[5].textContent) > 0;
});
assert.equal(await page.locator("#channels tbody tr").count(), 5);
await page.getByRole("button", { name: "robot/imu" }).click();

// Values change.
const value = (field) => page.locator("#values tr", { hasText: field }).locator("td").nth(1);
await value("number").waitFor();
const before = Number(await value("number").textContent());
await page.waitForFunction((before) => {
  const row = [...document.querySelectorAll("#values tr")].find((row) => row.textContent.startsWith("number"));
  return Number(row.cells[1].textContent) > before;
}, before);
assert.match(await value("stamp").textContent(), /^20\d\d-\d\d-\d\d /);
assert.equal(await value("frame").textContent(), '"base_link"');

// A plot with lines: the canvas has pixels of the first colour.
await page.locator(".uplot canvas").waitFor();
await page.locator("#values input[type=checkbox]:checked").first().waitFor();
await page.waitForFunction(() => {
  const canvas = document.querySelector(".uplot canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let coloured = 0;
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] > 200 && data[at] < 60 && data[at + 2] > 180) coloured++;
  }
  return coloured > 200;
});
// Participants, and the losses of the slow one.
await page.locator("#ends tbody tr", { hasText: "subscriber" }).waitFor();
await page.locator("#ends td.warn").first().waitFor();
// A minute is too long for a picture; some seconds fill the plot.
await page.selectOption("#window", "5");
await page.waitForTimeout(5500);
await page.screenshot({ path: picture });

// Another channel: a header and a tail that is cut.
await page.getByRole("button", { name: "robot/camera" }).click();
await page.locator("#values", { hasText: "307200 items" }).waitFor();
// Pause holds the position, the values and the plot; Continue goes on.
const position = page.locator("#position");
const moves = async (from) =>
  page.waitForFunction((from) => document.querySelector("#position").textContent !== from, from);
await moves(await position.textContent());
await page.getByRole("button", { name: "Pause" }).click();
const state = () => page.evaluate(() => [
  document.querySelector("#position").textContent, document.querySelector("#values").textContent, plot.times.length,
]);
const held = await state();
await page.waitForTimeout(1500);
assert.deepEqual(await state(), held);
await page.getByRole("button", { name: "Continue" }).click();
await moves(held[0]);

// A subscription that the server refuses or ends is asked for again.
const again = await page.evaluate(() => {
  const { id } = subscription;
  send({ op: "unsubscribe", subscriptionIds: [id] });
  text({ op: "status", level: 0, id: `subscription-${id}`, message: "" });
  return [id, subscription];
});
assert.equal(again[1], null);
await page.waitForFunction((id) => subscription !== null && subscription.id > id, again[0]);
await moves(await position.textContent());

// Numbers that are not finite are fields that can be plotted, and gaps in the plot.
const { leaves, chosen, columns, bounds } = await page.evaluate(async () => {
  const nan = { $number: "NaN" };
  const leaves = [];
  values.walk({ x: nan, big: { $int: "18446744073709551615" }, list: [...Array(9).fill(1), nan] },
    (path, words, n) => leaves.push([path, words, n === null ? "none" : String(n)]));
  const own = new plots.Plot(document.createElement("div"));
  own.add(1, [["x", NaN], ["y", 1]]);
  own.add(2, [["x", NaN], ["y", 2]]);
  const chosen = [...own.chosen];
  own.add(3, [["x", Infinity], ["y", 3]]);
  own.add(4, [["x", 0.5], ["y", NaN]]);
  own.toggle("x", true);
  own.draw();
  // uPlot draws later.
  await new Promise((drawn) => requestAnimationFrame(drawn));
  const { min, max } = own.chart.scales.y;
  return { leaves, chosen, columns: [...own.fields], bounds: [min, max] };
});
assert.deepEqual(leaves, [["x", "NaN", "NaN"], ["big", "18446744073709551615", "18446744073709552000"],
  ["list", "[1, 1, 1, 1, 1, 1, 1, 1, 1, NaN]", "none"]]);
assert.deepEqual(chosen, ["y"]);
assert.deepEqual(columns, [["x", [null, null, null, 0.5]], ["y", [1, 2, 3, null]]]);
assert.ok(bounds.every(Number.isFinite), String(bounds));

// A field that becomes a number gets its box.
const boxes = await page.evaluate(() => {
  const show = (n) => { newest = { position: 1, parts: [["later", n === null ? "none" : "NaN", n !== null]] }; window.show(); };
  const box = () => document.querySelectorAll("#values input").length;
  paused = true;
  show(null);
  const before = box();
  show(NaN);
  const after = box();
  paused = false;
  return [before, after];
});
assert.deepEqual(boxes, [0, 1]);

// What a segment does not state is no zero, and the notice comes from the observer.
const unknown = await page.evaluate(() => {
  const one = { ...channels.find((one) => one.channel === chosen), senders: null, receivers: null, lost: null };
  const frame = (gone) => ({ channels: [one], problem: null, subscriptions: [{ ...counts, id: subscription.id, gone }] });
  figures(frame(false));
  const row = document.querySelector("#channels tbody tr");
  const seen = [row.cells[3].textContent, row.cells[4].textContent, document.querySelector("#notice").hidden];
  figures(frame(true));
  return [...seen, document.querySelector("#notice").hidden];
});
assert.deepEqual(unknown, ["–", "–", true, false]);
// The filter hides channels.
await page.fill("#filter", "battery");
await page.waitForFunction(() => document.querySelectorAll("#channels tbody tr").length === 1);
assert.equal(await row.count(), 0);
await context.close();
assert.deepEqual(wrong, []);
console.log("the page shows channels, values and a plot, and loads nothing from elsewhere");
