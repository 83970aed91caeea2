import assert from "node:assert/strict";
import { test } from "node:test";

import { away, ordered } from "../../static/markets/alerts.js";
import { bars } from "../../static/markets/candles.js";
import { ageText, amount, change, clock, distance, plain, scaled } from "../../static/markets/format.js";
import { missing, newest } from "../../static/markets/tape.js";

test("amounts keep every digit, also those a float would lose", () => {
  assert.equal(amount("9999999.99999999", 8), "9,999,999.99999999");
  assert.equal(amount("61686.00000000", 2), "61,686.00");
  assert.equal(amount("0.00009000", 5), "0.00009");
  assert.equal(amount("1000", 0), "1,000");
  assert.equal(amount(null, 2), "–");
  assert.equal(plain(scaled("-0.01"), 2), "−0.01");
  assert.equal(plain(distance("61686.00", "61700.00"), 2), "14.00");
});

test("change has sign, arrow and direction, and none where nothing moved", () => {
  assert.deepEqual(change("61686.00", "61837.63"), { text: "▼ −0.25 %", way: "down" });
  assert.deepEqual(change("101", "100"), { text: "▲ +1.00 %", way: "up" });
  assert.deepEqual(change("100", "100"), { text: "0.00 %", way: "" });
  assert.deepEqual(change("61837.00", "61837.63"), { text: "0.00 %", way: "" });
  assert.deepEqual(change("100.004999", "100"), { text: "0.00 %", way: "" });
  assert.deepEqual(change("100.005", "100"), { text: "▲ +0.01 %", way: "up" });
  assert.deepEqual(change("2100", "100"), { text: "▲ +2,000.00 %", way: "up" });
  assert.deepEqual(change(null, "100"), { text: "–", way: "" });
});

test("ages are milliseconds, then seconds, then the time since", () => {
  assert.equal(ageText(34.4, 0), "34 ms");
  assert.equal(ageText(-5, 0), "0 ms");
  assert.equal(ageText(3400, 0), "3 s old");
  assert.equal(ageText(90_000, Date.UTC(2026, 0, 2, 3, 4, 5)), "since 03:04:05");
  assert.equal(clock("2024-08-08T23:54:15.342000Z"), "23:54:15.342");
});

test("the tape shows the newest on top and drops what lies far behind", () => {
  const rows = new Map(Array.from({ length: 300 }, (_, n) => [String(n + 1), { trade_id: String(n + 1) }]));
  const keys = newest(rows);
  assert.deepEqual([keys[0], keys.at(-1), keys.length], ["300", "251", 50]);
  assert.equal(rows.size, 200);
});

test("the tape counts the trade numbers that are missing", () => {
  const rows = new Map([["3", { trade_id: "3735683261" }], ["2", { trade_id: "3735683260" }], ["1", { trade_id: "3735683257" }]]);
  assert.equal(missing(rows, ["3", "2"]), 0);
  assert.equal(missing(rows, ["3", "2", "1"]), 2);
  assert.equal(missing(rows, ["3"]), 0);
});

test("seconds are summed up to minutes, in their order whatever order they came in", () => {
  const candle = (start, [open, high, low, close], volume) => ({ start: `2024-08-09T00:${start}.000000Z`, open, high, low, close, volume });
  const candles = new Map([
    ["2", candle("01:59", ["5", "9", "4", "6"], "2.5")],
    ["1", candle("01:02", ["3", "5", "2", "5"], "1")],
    ["3", candle("02:00", ["6", "7", "6", "7"], "1")],
  ]);
  const minutes = bars(candles, 60);
  assert.deepEqual(minutes.map(({ open, high, low, close, volume }) => [open, high, low, close, volume]), [
    [3, 9, 2, 6, 3.5],
    [6, 7, 6, 7, 1],
  ]);
  assert.deepEqual(bars(candles, 1).map((bar) => bar.open), [3, 5, 6]);
});

test("an alert says what is left to its price, or its state", () => {
  const body = { state: "armed", price: "61700.00000000" };
  assert.equal(away(body, { last: "61686.00000000" }, 2), "14.00 away");
  assert.equal(away({ ...body, state: "paused" }, { last: "61686.00000000" }, 2), "paused");
  assert.equal(away(body, undefined, 2), "armed");
});

test("alerts of one market stand with the highest price on top", () => {
  const alerts = new Map([
    ["1", { market_id: "BTCUSDT", price: "9.5" }],
    ["2", { market_id: "ETHUSDT", price: "8" }],
    ["3", { market_id: "BTCUSDT", price: "10.0" }],
  ]);
  assert.deepEqual(ordered(alerts, "BTCUSDT").map(([key]) => key), ["3", "1"]);
  assert.deepEqual(ordered(alerts).map(([key]) => key), ["3", "1", "2"]);
});
