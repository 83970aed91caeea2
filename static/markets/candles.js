// Candles as the chart draws them: of a second as they came, of a minute summed up.

const NAMES = ["open", "high", "low", "close", "volume"];
const read = new WeakMap(); // a body never changes; a candle that grew is another body

/** A candle for drawing: its second, and prices as numbers. */
function figures(body) {
  let known = read.get(body);
  if (!known) {
    known = { time: Date.parse(body.start) / 1000 };
    for (const name of NAMES) known[name] = Number(body[name]);
    read.set(body, known);
  }
  return known;
}

/** Candles by time, summed up to `step` seconds. */
export function bars(candles, step) {
  const sorted = Array.from(candles.values(), figures).sort((one, other) => one.time - other.time);
  if (step === 1) return sorted;
  const found = new Map();
  for (const candle of sorted) {
    const time = Math.floor(candle.time / step) * step;
    const bar = found.get(time);
    if (!bar) {
      found.set(time, { ...candle, time });
      continue;
    }
    bar.high = Math.max(bar.high, candle.high);
    bar.low = Math.min(bar.low, candle.low);
    bar.close = candle.close;
    bar.volume += candle.volume;
  }
  return [...found.values()];
}
