// Values of messages: takes the JSON of the server apart, and writes numbers for people.
// `shmcomm-view/src/shown.rs` describes the marks that start with `$`.
"use strict";

const values = (() => {
  const LEAVES = 400;

  // Returns the one mark of an object, or null.
  function mark(object) {
    const [key] = Object.keys(object);
    return key !== undefined && /^\$[a-z]/.test(key) ? key.slice(1) : null;
  }

  function time(nanoseconds) {
    const n = BigInt(nanoseconds);
    const milliseconds = Number(n / 1000000n);
    const date = new Date(milliseconds);
    if (Number.isNaN(date.getTime())) return `${nanoseconds} ns`;
    const rest = String(((n % 1000000n) + 1000000n) % 1000000n).padStart(6, "0").slice(0, 3);
    return date.toISOString().replace("T", " ").replace("Z", `${rest}`);
  }

  // Writes a number without needless digits.
  function number(x) {
    if (Number.isInteger(x) && Math.abs(x) < 1e15) return String(x);
    const size = Math.abs(x);
    return size !== 0 && (size < 1e-4 || size >= 1e9) ? x.toExponential(5) : String(Number(x.toPrecision(8)));
  }

  // Returns the text and the number of an item, or null if it is no number.
  function numeral(item) {
    if (typeof item === "number") return [number(item), item];
    if (item === null || typeof item !== "object" || Array.isArray(item)) return null;
    switch (mark(item)) {
      case "int": return [item.$int, Number(item.$int)];
      case "number": return [item.$number, NaN];
    }
    return null;
  }

  // Calls `leaf(path, text, number)` for each part of a message; `number` is null if the part cannot be plotted, and
  // NaN if it can, and is not finite now.
  function walk(value, leaf) {
    let left = LEAVES;
    const put = (path, text, n = null) => { if (left-- > 0) leaf(path || "value", text, n); };
    const list = (path, items, length) => {
      // A short list of numbers has a row for each, because each can be plotted.
      if (items.length > 0 && (!items.every(numeral) || length <= 8)) {
        items.forEach((item, index) => visit(`${path}[${index}]`, item));
        if (items.length < length) put(`${path}[…]`, `${length - items.length} more`);
        return;
      }
      const shown = items.slice(0, 12).map((item) => numeral(item)[0]).join(", ");
      put(path, length > 12 ? `[${shown}, … ${length} items]` : `[${shown}]`);
    };
    const visit = (path, part) => {
      if (left <= 0) return;
      if (part === null) return put(path, "none");
      const n = numeral(part);
      if (n) return put(path, ...n);
      if (typeof part === "boolean") return put(path, String(part), Number(part));
      if (typeof part === "string") return put(path, JSON.stringify(part));
      if (Array.isArray(part)) return list(path, part, part.length);
      switch (mark(part)) {
        case "time": return put(path, time(part.$time));
        case "bad": return put(path, `⚠ ${part.$bad}`);
        case "list": return list(path, part.$list, part.$len);
      }
      const names = Object.keys(part);
      if (names.length === 0) return put(path, "{}");
      for (const name of names) {
        const plain = name.startsWith("$$") ? name.slice(1) : name;
        visit(path ? `${path}.${plain}` : plain, name === "$cut" ? "…" : part[name]);
      }
    };
    visit("", value);
  }

  // Writes a large number with a prefix: 1234 is "1.23 k".
  function short(x, unit = "") {
    const steps = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
    for (const [size, prefix] of steps) {
      if (x >= size * 0.9995) return `${(x / size).toPrecision(3)} ${prefix}${unit}`;
    }
    const text = Number.isInteger(x) ? String(x) : x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2);
    return unit ? `${text} ${unit}` : text;
  }

  // Writes a whole number in groups of three digits.
  function count(n) {
    return String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  }

  return { walk, short, count, number };
})();
