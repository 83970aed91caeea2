// The list of the inbox page and of the overview: the served rows, kept by the store.

import * as inbox from "./inbox.js";
import * as store from "./store.js";
import { act, onWaiting, waitingKeys } from "./acts.js";
import { banner } from "./banner.js";
import { closeReader, openKey, readerOf } from "./reader.js";
import { fill } from "./row.js";
import * as live from "../tocsin/live.js";
import { day } from "../tocsin/times.js";

const root = document.querySelector("[data-inbox]");
const list = root.querySelector("[data-rows]");
const scroll = root.querySelector("[data-scroll]");
const fresh = root.querySelector("[data-fresh]");
const preview = Number(root.dataset.preview ?? 0);
const view = root.dataset.view;
const paged = root.querySelector(".older");
const held = new Set(); // came while the list was scrolled: they wait behind "2 new"
const served = [...list.querySelectorAll(".row time")].map((time) => Date.parse(time.dateTime));
const oldest = paged ? Math.min(...served) : -Infinity;

function wanted() {
  const open = openKey();
  const rows = inbox.rows(store.state).filter((row) => {
    if (view === "archived") return row.archived;
    return !row.archived && (view === "all" || row.unread || row.key === open);
  });
  return (preview ? rows.slice(0, preview) : rows).filter((row) => row.at >= oldest && !held.has(row.key));
}

function heading(text) {
  const item = document.createElement("li");
  item.className = "day";
  item.textContent = text;
  return item;
}

function render() {
  const now = new Date(live.serverNow());
  const rows = wanted();
  const waiting = waitingKeys();
  const nodes = new Map([...list.querySelectorAll(".row")].map((node) => [node.dataset.key, node]));
  const focused = list.querySelector(".row:focus-within");
  const top = focused?.getBoundingClientRect().top;
  list.querySelectorAll(".day").forEach((item) => item.remove());
  const keep = new Set(rows.map((row) => row.key));
  leave(nodes, keep);
  let cursor = list.firstElementChild;
  let today = null;
  for (const row of rows) {
    const title = preview ? null : day(new Date(row.at), now);
    if (title !== today) list.insertBefore(heading(title), cursor);
    today = title;
    const node = nodes.get(row.key) ?? document.getElementById("row").content.firstElementChild.cloneNode(true);
    fill(node, row, { now, view, open: openKey(), waiting });
    if (!nodes.has(row.key)) node.classList.add("arrived");
    if (cursor === node) cursor = cursor.nextElementSibling;
    else list.insertBefore(node, cursor);
  }
  if (scroll && focused?.isConnected) scroll.scrollTop += focused.getBoundingClientRect().top - top;
  empty(rows.length);
  counts();
}

/** Take rows away; the focus goes to the next row, at the end to the one before, else to the heading. */
function leave(nodes, keep) {
  const before = [...nodes.keys()];
  for (const [key, node] of nodes) {
    if (keep.has(key)) continue;
    const inside = node.contains(document.activeElement);
    const index = before.indexOf(key);
    const next = before.slice(index + 1).find((other) => keep.has(other));
    const previous = before.slice(0, index).findLast((other) => keep.has(other));
    node.remove();
    if (!inside) continue;
    const target = nodes.get(next ?? previous)?.querySelector(".row-text") ?? document.querySelector("#inbox-title, h1");
    target.focus();
  }
}

function empty(shown) {
  const which = shown || held.size ? "none" : inbox.rows(store.state).length ? view : "first";
  root.querySelectorAll("[data-empty]").forEach((box) => (box.hidden = box.dataset.empty !== which));
}

function counts() {
  root.querySelectorAll("[data-view-count]").forEach((element) => {
    element.textContent = String(inbox.view(store.state, element.dataset.viewCount).length || "");
  });
  if (!fresh) return;
  fresh.hidden = !held.size;
  fresh.textContent = `${held.size} new`;
}

const scrolled = () => (scroll?.scrollTop ?? 0) > 0;

function see() {
  if (!preview && !document.hidden && live.isLive() && inbox.unseen(store.state)) act("/inbox/seen/", []);
}

store.onChange((state, publication, { key }) => {
  const shows = () => inbox.view(state, view).some((row) => row.key === key);
  if (publication?.op === "i" && scrolled() && shows()) held.add(key);
  if (root.hasAttribute("data-live")) render();
  else counts();
  banner(inbox.rows(state));
  readerOf(inbox.rows(state));
  see();
});
fresh?.addEventListener("click", () => {
  held.clear();
  scroll.scrollTop = 0;
  render();
  list.querySelector(".row-text")?.focus();
});
onWaiting(() => render());
document.addEventListener("visibilitychange", see);
addEventListener("reader", () => render());
readerOf(inbox.rows(store.state));
if (!preview) document.querySelector("[data-back]").addEventListener("click", closeReader);
