import assert from "node:assert/strict";
import { test } from "node:test";

import * as inbox from "../../static/notifications/inbox.js";

const body = (id, more = {}) => ({
  id,
  kind: "message",
  title: `Title ${id}`,
  body: "",
  url: "",
  created_at: `2026-01-02T03:04:${String(id).padStart(2, "0")}.000000Z`,
  seen_at: null,
  read_at: null,
  archived_at: null,
  ...more,
});
const announcement = (id, number) => ({ id, number, title: `A ${id}`, body: "", url: "", published_at: "2026-01-02T03:04:30.000000Z" });
const page = (more = {}) => ({
  inbox: { counts: { unread: 2, unseen: 1 } },
  receipts: [],
  watermark: {},
  announcements: { rows: [] },
  ...more,
});
const rows = [2, 1].map((id) => ({ key: String(id), body: body(id) }));
const keys = (list) => list.map((row) => row.key);

test("a new row stands on top and counts", () => {
  const before = inbox.begin(page(), rows);
  const after = inbox.applyInbox(before, { op: "i", key: "3", body: body(3), counts: { unread: 1, unseen: 1 } });
  assert.deepEqual(keys(inbox.view(after, "all")), ["3", "2", "1"]);
  assert.deepEqual([inbox.unread(after), inbox.unseen(after)], [3, 2]);
  assert.deepEqual(keys(inbox.view(before, "all")), ["2", "1"], "the state before is left as it was");
});

test("what is no row leaves the inbox as it is, also while it begins anew", () => {
  const state = inbox.begin(page(), rows);
  for (const data of [null, "text", { title: "Sale", body: "of today" }]) {
    assert.equal(inbox.applyInbox(state, data), state);
    const anew = inbox.inboxAnew(state, { rows, counts: {}, publications: [data] });
    assert.deepEqual(keys(inbox.view(anew, "all")), ["2", "1"]);
  }
});

test("a row read elsewhere leaves the unread view and stays in all", () => {
  const state = inbox.applyInbox(inbox.begin(page(), rows), {
    op: "u",
    key: "2",
    body: body(2, { read_at: "2026-01-02T03:05:00.000000Z" }),
    counts: { unread: -1 },
  });
  assert.deepEqual(keys(inbox.view(state, "unread")), ["1"]);
  assert.deepEqual(keys(inbox.view(state, "all")), ["2", "1"]);
  assert.equal(inbox.unread(state), 1);
});

test("an archived row moves to its view, a deleted one leaves every view", () => {
  let state = inbox.begin(page(), rows);
  state = inbox.applyInbox(state, { op: "u", key: "1", body: body(1, { archived_at: "2026-01-02T03:05:00.000000Z" }) });
  assert.deepEqual([keys(inbox.view(state, "all")), keys(inbox.view(state, "archived"))], [["2"], ["1"]]);
  state = inbox.applyInbox(state, { op: "d", key: "1" });
  assert.deepEqual(keys(inbox.view(state, "archived")), []);
});

test("applying a publication twice changes rows no more than once", () => {
  const publication = { op: "u", key: "2", body: body(2, { title: "New" }) };
  const once = inbox.applyInbox(inbox.begin(page(), rows), publication);
  assert.deepEqual(inbox.rows(inbox.applyInbox(once, publication)), inbox.rows(once));
});

test("an announcement is unread until its receipt, or until the watermark passes it", () => {
  let state = inbox.begin(page({ inbox: { counts: {} }, watermark: { seen_number: 1, read_number: 1 } }));
  for (const [id, number] of [[10, 1], [11, 2], [12, 3]]) {
    state = inbox.applyAnnouncement(state, { op: "i", key: String(id), body: announcement(id, number) });
  }
  assert.equal(inbox.unread(state), 2);
  state = inbox.applyInbox(state, { op: "i", key: "receipt:1", body: { announcement_id: 12, read_at: "" } });
  assert.deepEqual([inbox.unread(state), inbox.unseen(state)], [1, 1]);
  state = inbox.applyInbox(state, { op: "u", key: "watermark:1", body: { seen_number: 3, read_number: 0 } });
  assert.deepEqual([inbox.unread(state), inbox.unseen(state)], [2, 0]);
  state = inbox.applyInbox(state, { op: "u", key: "watermark:1", body: { seen_number: 3, read_number: 3 } });
  assert.equal(inbox.unread(state), 0);
  state = inbox.applyAnnouncement(state, { op: "d", key: "11" });
  assert.deepEqual(keys(inbox.rows(state)).sort(), ["announcement:10", "announcement:12"]);
});

test("an inbox begun anew holds the snapshot and what belongs to it, and nothing older", () => {
  const state = inbox.inboxAnew(inbox.begin(page({ receipts: [7] }), rows), {
    rows: [
      { key: "5", body: body(5) },
      { key: "receipt:3", body: { announcement_id: 9 } },
      { key: "watermark:1", body: { seen_number: 4, read_number: 2 } },
    ],
    counts: { unread: 1, unseen: 1 },
    publications: [{ op: "i", key: "6", body: body(6), counts: { unread: 1, unseen: 1 } }],
  });
  assert.deepEqual(keys(inbox.rows(state)), ["6", "5"]);
  assert.deepEqual([...state.receipts], [9]);
  assert.deepEqual([inbox.unread(state), state.watermark.read_number], [2, 2]);
});

test("all read names what is on the page, and what is below it", () => {
  const state = inbox.begin(page({ inbox: { counts: { unread: 5, unseen: 0 } } }), rows);
  assert.deepEqual(inbox.known(state), { keys: ["2", "1"], older_than: 1, number: 0 });
  const whole = inbox.begin(page(), rows);
  assert.equal(inbox.known(whole).older_than, "");
});

test("only http, https and paths of this site become links", () => {
  const site = "https://tocsin.example";
  assert.equal(inbox.link("/market/BTCUSDT/", site), "https://tocsin.example/market/BTCUSDT/");
  assert.equal(inbox.link("https://example.org/a", site), "https://example.org/a");
  for (const bad of ["javascript:alert(1)", " javascript:alert(1)", "//evil.example", "/\\evil.example", "data:text/html,x", "https:evil", "x", "http://"]) {
    assert.equal(inbox.link(bad, site), "", bad);
  }
});
