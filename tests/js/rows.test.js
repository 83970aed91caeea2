import assert from "node:assert/strict";
import { test } from "node:test";

import { apply, fromSnapshot } from "../../static/tocsin/rows.js";

test("rows are put, replaced and taken away, and the given rows stay as they were", () => {
  const none = new Map();
  const one = apply(none, { op: "i", key: "1", body: { a: 1 } });
  const two = apply(one, { op: "u", key: "1", body: { a: 2 } });
  const three = apply(two, { op: "d", key: "1" });
  assert.deepEqual([none.size, one.get("1").a, two.get("1").a, three.size], [0, 1, 2, 0]);
});

test("a row too large for the stream changes nothing by itself", () => {
  const rows = new Map([["1", { a: 1 }]]);
  assert.equal(apply(rows, { op: "o", key: "1" }), rows);
});

test("what is no row changes nothing, whatever it looks like", () => {
  const rows = new Map([["1", { a: 1 }]]);
  for (const data of [null, "text", 5, [], {}, { title: "Sale", body: "of today" }, { op: "x", key: "1" }]) {
    assert.equal(apply(rows, data), rows);
  }
});

test("a snapshot is its rows and the publications that belong to it", () => {
  const rows = fromSnapshot({
    rows: [{ key: "1", body: { a: 1 } }, { key: "2", body: { a: 2 } }],
    publications: [{ op: "d", key: "1" }, { op: "i", key: "3", body: { a: 3 } }],
  });
  assert.deepEqual([...rows.keys()], ["2", "3"]);
});
