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
  return row !== undefined && parseFloat(row.cells[1].textContent) > 20 && parseFloat(row.cells[4].textContent) > 0;
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
// Pause holds the values.
await page.getByRole("button", { name: "Pause" }).click();
// The filter hides channels.
await page.fill("#filter", "battery");
await page.waitForFunction(() => document.querySelectorAll("#channels tbody tr").length === 1);
assert.equal(await row.count(), 0);
await context.close();
assert.deepEqual(wrong, []);
console.log("the page shows channels, values and a plot, and loads nothing from elsewhere");
