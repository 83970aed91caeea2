// The watch list, and the head of the market that is open: prices flash when they change.
import { amount, change, clock } from "./format.js";
import { flash, put, way } from "./paint.js";

const SPARK_POINTS = 60;

/** What a ticker reads like. */
export function words(body, known) {
  const price = (text) => amount(text, known.pricePlaces);
  const moved = change(body.last, body.open);
  return {
    last: price(body.last),
    bid: price(body.bid),
    ask: price(body.ask),
    high: price(body.high),
    low: price(body.low),
    volume: `${amount(body.volume, 1)} ${known.base}`,
    change: moved.text,
    way: moved.way,
    since: body.opened_at ? `since ${clock(body.opened_at, 5)}` : "",
    feed: body.feed,
  };
}

export function watcher(tickers, markets, symbol) {
  const shown = new Map(); // market to the ticker on the screen
  for (const [key, body] of tickers) shown.set(key, body);

  function direction(before, body) {
    if (!before?.last || !body.last || before.last === body.last) return "";
    return Number(body.last) > Number(before.last) ? "up" : "down";
  }

  function fill(root, name, said, moved) {
    for (const slot of Object.keys(said)) {
      const element = root.querySelector(`[data-${name}="${slot}"]`);
      if (!element) continue;
      put(element, said[slot]);
      if (slot === "last" && moved) flash(element, moved);
      if (slot === "change") way(element, said.way);
    }
  }

  return function draw() {
    for (const [key, body] of tickers) {
      const before = shown.get(key);
      if (before === body || !markets[key]) continue;
      const said = words(body, markets[key]);
      const moved = before?.run === body.run ? direction(before, body) : "";
      for (const row of document.querySelectorAll(`[data-market="${key}"]`)) {
        fill(row, "f", said, moved);
        spark(row, body, said.way, before?.run !== body.run);
      }
      if (key === symbol || !symbol) fill(document, "h", key === symbol ? said : { feed: said.feed }, moved);
      shown.set(key, body);
    }
  };
}

/** The small line gets a point a second, and drops its first half's every other one when full. */
function spark(row, body, direction, anew) {
  const line = row.querySelector(".spark polyline");
  if (!line || !body.last || !body.recorded_at) return;
  way(row.querySelector(".spark"), direction);
  const known = (line.prices ??= { second: "", values: [] });
  if (anew) known.values = [];
  const second = clock(body.recorded_at, 8);
  if (second === known.second) return;
  known.second = second;
  known.values.push(Number(body.last));
  if (known.values.length > SPARK_POINTS * 2) known.values = known.values.filter((_, n) => n % 2 === 0);
  if (known.values.length < SPARK_POINTS / 2 && line.points.length > known.values.length && !anew) return;
  const low = Math.min(...known.values);
  const span = Math.max(...known.values) - low || 1;
  const step = 80 / Math.max(1, known.values.length - 1);
  line.setAttribute(
    "points",
    known.values.map((price, n) => `${(n * step).toFixed(1)},${(1 + 18 * (1 - (price - low) / span)).toFixed(1)}`).join(" "),
  );
}
