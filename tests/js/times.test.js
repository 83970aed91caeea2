import assert from "node:assert/strict";
import { test } from "node:test";

import { day, full, short } from "../../static/tocsin/times.js";

const now = new Date(2026, 10, 24, 15, 0, 0);
const ago = (seconds) => new Date(now - seconds * 1000);

test("an age is short, and never in the future", () => {
  assert.deepEqual([-30, 0, 59, 60, 3599, 3600, 43199].map((s) => short(ago(s), now)), ["0 s", "0 s", "59 s", "1 min", "59 min", "1 h", "11 h"]);
  assert.deepEqual([2, 6, 7, 400].map((d) => short(ago(d * 86400), now)), ["Sun", "Wed", "17 Nov", "20 Oct 2025"]);
});

test("a day has the name a person gives it", () => {
  assert.deepEqual([0, 1, 3, 8, 400].map((d) => day(ago(d * 86400), now)), ["Today", "Yesterday", "Saturday", "16 November", "20 October 2025"]);
});

test("the whole time names its zone", () => {
  assert.match(full(now), /^Tue,? 24 Nov 2026, 15:00:00 \S+/);
});
