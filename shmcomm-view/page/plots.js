// Plots of numeric fields: keeps the last minute of each field, and draws the chosen ones with uPlot.
"use strict";

const plots = (() => {
  const KEPT = 60; // s
  const FIELDS = 64;
  const FIRST = 4;
  const HEIGHT = 260;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const LIGHT = ["#1f6fd0", "#d1570a", "#168a5b", "#a8389b", "#b08500", "#0e8a9b", "#c22f3d", "#6a5acd"];
  const DARK = ["#6cabf5", "#f39a52", "#55c795", "#e08bd6", "#e2bf4a", "#4fc4d3", "#f2837b", "#a99df5"];

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  class Plot {
    constructor(place) {
      this.place = place;
      this.window = 15;
      this.paused = false;
      this.clear();
      addEventListener("resize", () => this.resize());
      dark.addEventListener("change", () => this.rebuild());
      const draw = () => { this.draw(); requestAnimationFrame(draw); };
      requestAnimationFrame(draw);
    }

    // Forgets all messages and fields.
    clear() {
      this.times = [];
      this.fields = new Map();
      this.chosen = [];
      this.decided = false;
      this.changed = true;
      this.rebuild();
    }

    // Adds a message: its time in seconds, and the numbers of its fields. A number that is not finite is a gap.
    add(time, numbers) {
      this.times.push(time);
      for (const [path, n] of numbers) {
        let column = this.fields.get(path);
        if (!column) {
          if (this.fields.size >= FIELDS) continue;
          column = new Array(this.times.length - 1).fill(null);
          this.fields.set(path, column);
        }
        column.push(Number.isFinite(n) ? n : null);
      }
      for (const column of this.fields.values()) {
        if (column.length < this.times.length) column.push(null);
      }
      this.forget(time - KEPT);
      this.changed = true;
      if (!this.decided && this.times.length >= 2) this.decide();
    }

    // Drops what is older than the longest window, in steps.
    forget(oldest) {
      let old = 0;
      while (old < this.times.length && this.times[old] < oldest) old++;
      if (old < 600) return;
      this.times.splice(0, old);
      for (const column of this.fields.values()) column.splice(0, old);
    }

    // Chooses the first fields to plot: of those with fractions, or else of all that have a number.
    decide() {
      const all = [...this.fields].filter(([, column]) => column.some((n) => n !== null));
      if (all.length === 0) return;
      this.decided = true;
      const fractions = all.filter(([, column]) => column.some((n) => n !== null && !Number.isInteger(n)));
      this.chosen = (fractions.length ? fractions : all).slice(0, FIRST).map(([path]) => path);
      this.rebuild();
    }

    toggle(path, on) {
      this.decided = true;
      this.chosen = this.chosen.filter((other) => other !== path);
      if (on) this.chosen.push(path);
      this.rebuild();
    }

    colour(path) {
      const index = this.chosen.indexOf(path);
      const colours = dark.matches ? DARK : LIGHT;
      return index < 0 ? null : colours[index % colours.length];
    }

    rebuild() {
      this.chart?.destroy();
      this.chart = null;
      this.changed = true;
      if (this.chosen.length === 0) return;
      const axis = { stroke: style("--soft"), grid: { stroke: style("--line"), width: 1 },
        ticks: { stroke: style("--line"), width: 1 }, font: "12px system-ui, sans-serif" };
      const shown = (_, n) => (n === null || n === undefined ? "–" : values.number(n));
      this.chart = new uPlot({
        width: this.width(), height: HEIGHT,
        scales: { x: { time: true, range: () => this.range() } },
        cursor: { drag: { x: false, y: false } },
        axes: [axis, { ...axis, size: 64 }],
        series: [
          { label: "Time", value: (_, t) => (t === null ? "–" : new Date(t * 1000).toLocaleTimeString()) },
          ...this.chosen.map((path) => ({
            label: path, stroke: this.colour(path), width: 1.6, points: { show: false }, value: shown,
          })),
        ],
      }, [[], ...this.chosen.map(() => [])], this.place);
    }

    width() {
      return Math.max(240, this.place.clientWidth - 16);
    }

    resize() {
      this.chart?.setSize({ width: this.width(), height: HEIGHT });
    }

    range() {
      const last = this.times[this.times.length - 1] ?? Date.now() / 1000;
      return [last - this.window, last];
    }

    draw() {
      if (!this.chart || !this.changed || this.paused) return;
      this.changed = false;
      const [from] = this.range();
      let start = 0;
      while (start < this.times.length && this.times[start] < from) start++;
      start = Math.max(0, start - 1);
      const column = (path) => this.fields.get(path)?.slice(start) ?? [];
      this.chart.setData([this.times.slice(start), ...this.chosen.map(column)]);
    }
  }

  return { Plot };
})();
