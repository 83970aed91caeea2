// "Commit to this screen": one bar a change, from the time its row was written to the time it is here.

import { clockError, onPublication } from "./live.js";

const MOST = 64;
const WIDTH = 10;
const panel = document.querySelector("[data-latency]");
const chart = panel.querySelector("svg");
const slot = (name) => panel.querySelector(`[data-slot="${name}"]`);
const ages = [];
let due = false;

/** Median, 95th percentile and the slowest of some milliseconds. */
export function figures(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
  return { median: at(0.5), p95: at(0.95), slowest: sorted.at(-1) };
}

function draw() {
  due = false;
  const { median, p95, slowest } = figures(ages);
  const scale = Math.max(slowest, 10);
  const left = MOST - ages.length;
  chart.replaceChildren(
    ...ages.map((age, index) => {
      const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      const height = Math.max(2, (age / scale) * 56);
      const shape = { x: (left + index) * WIDTH + 1, y: 60 - height, width: WIDTH - 2, height, rx: 1 };
      for (const [name, value] of Object.entries(shape)) bar.setAttribute(name, value);
      if (index === ages.lastIndexOf(slowest) && age > 2 * median && ages.length > 4) bar.classList.add("outlier");
      return bar;
    }),
  );
  slot("number").textContent = ages.length === 1 ? "last change" : `last ${ages.length} changes`;
  slot("figures").hidden = false;
  Object.entries({ median, p95, slowest }).forEach(([name, value]) => (slot(name).textContent = `${Math.round(value)} ms`));
  slot("base").textContent = `Measured against the server’s clock, ±${clockError() ?? "?"} ms`;
}

onPublication((topic, publication, { age }) => {
  if (age === null) return;
  ages.push(age);
  if (ages.length > MOST) ages.shift();
  if (due || document.hidden) return;
  due = true;
  setTimeout(draw, 250);
});
document.addEventListener("visibilitychange", () => !document.hidden && ages.length && draw());
