// The books of the proof page: what is committed, here, on the way, lost, repeated, late.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Ledger, total } from "../../static/tocsin/ledger.js";

/** Books in which the table told these ids at 0. */
function told(...ids) {
  const ledger = new Ledger(100);
  ledger.tells(100, ids, false, 0);
  return ledger;
}

const of = (ledger) => {
  const { longest, ...counts } = total([ledger]);
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count));
};

test("a row counts as committed and as delivered when the table has told it", () => {
  const ledger = new Ledger(100);
  ledger.brought(101, 20);
  assert.deepEqual(of(ledger), {});
  ledger.tells(100, [101, 102], false, 0);
  assert.deepEqual(of(ledger), { committed: 2, delivered: 1, waiting: 1 });
  ledger.brought(102, 20);
  assert.deepEqual(of(ledger), { committed: 2, delivered: 2 });
});

test("a row from before the page does not count", () => {
  const ledger = told();
  ledger.brought(99, 5000);
  ledger.shown([98]);
  assert.deepEqual(of(ledger), {});
  assert.equal(total([ledger]).longest, 0);
});

test("a row that came twice is repeated, whether or not the table has told it", () => {
  const ledger = told(101);
  for (const id of [101, 101, 102, 102]) ledger.brought(id, 1);
  assert.deepEqual(of(ledger), { committed: 1, delivered: 1, repeated: 2 });
});

test("a row that took more than a second is late, and its time the longest pause", () => {
  const ledger = told(101, 102);
  ledger.brought(101, 1000);
  ledger.brought(102, 1001);
  assert.deepEqual(of(ledger), { committed: 2, delivered: 2, late: 1 });
  assert.equal(total([ledger]).longest, 1001);
});

test("what is not here after five seconds of calm is lost, until it comes", () => {
  const ledger = told(101, 102);
  ledger.brought(101, 1);
  ledger.judge(5000, 0);
  assert.deepEqual(of(ledger), { committed: 2, delivered: 1, waiting: 1 });
  ledger.judge(5001, 1);
  assert.equal(ledger.lost, 0);
  ledger.judge(5002, 1);
  assert.deepEqual(of(ledger), { committed: 2, delivered: 1, lost: 1 });
  ledger.brought(102, 9000);
  assert.deepEqual(of(ledger), { committed: 2, delivered: 2, late: 1 });
});

test("a snapshot in place of what was missed delivers what it holds, and the rest is lost", () => {
  const ledger = told(101, 102, 103);
  ledger.brought(101, 1);
  ledger.shown([101, 103]);
  ledger.judge(6000, 0);
  assert.deepEqual(of(ledger), { committed: 3, delivered: 2, lost: 1 });
});

test("what is due is asked for again, and is gone when the table has it no more", () => {
  const ledger = told(101, 102, 103);
  ledger.brought(101, 1);
  assert.equal(ledger.ask, 101);
  ledger.tells(101, [103, 201], false, 1);
  assert.deepEqual(of(ledger), { committed: 4, delivered: 1, waiting: 2, gone: 1 });
  ledger.brought(103, 1);
  ledger.brought(201, 1);
  assert.equal(ledger.ask, 201);
});

test("an answer at its bound does not say that more is gone", () => {
  const ledger = told(101, 102);
  ledger.tells(100, [101], true, 1);
  assert.deepEqual(of(ledger), { committed: 2, waiting: 2 });
});

test("books are kept together", () => {
  const [one, other] = [told(101), told(101, 102)];
  one.brought(101, 30);
  other.brought(101, 20);
  const sums = total([one, other]);
  assert.deepEqual([sums.committed, sums.delivered, sums.waiting, sums.longest], [3, 2, 1, 30]);
});
