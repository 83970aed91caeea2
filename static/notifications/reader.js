// The reader beside the list: which row is open stands in the address, so that going back works.

import * as inbox from "./inbox.js";
import * as store from "./store.js";
import { act } from "./acts.js";
import { buttons } from "./row.js";
import { clock, full } from "../tocsin/times.js";

const page = document.querySelector(".inbox");
const article = document.querySelector("[data-reader]");
const none = document.querySelector("[data-reader-none]");

/** The key of the open row, or null. */
export const openKey = () => (page ? new URLSearchParams(location.search).get("open") : null);

function go(key) {
  const query = new URLSearchParams(location.search);
  if (key) query.set("open", key);
  else query.delete("open");
  history.pushState(null, "", `?${query}`);
  changed();
}

function changed() {
  dispatchEvent(new Event("reader"));
  readerOf(inbox.rows(store.state));
}

/** Show the open row as it is now; what is no longer there leaves the reader. */
export function readerOf(rows) {
  if (!article) return;
  const row = rows.find((item) => item.key === openKey());
  article.hidden = !row;
  none.hidden = Boolean(row);
  page.classList.toggle("has-open", Boolean(row));
  if (!row) return;
  const slot = (name) => article.querySelector(`[data-slot="${name}"]`);
  const at = new Date(row.at);
  slot("kind").textContent = row.kind.charAt(0).toUpperCase() + row.kind.slice(1);
  slot("title").textContent = row.title;
  slot("body").textContent = row.body;
  slot("received").textContent = full(at);
  slot("state").textContent = row.archived ? "Archived" : row.unread ? "Unread" : "Read";
  const time = slot("time").querySelector("time");
  time.dateTime = at.toISOString();
  time.title = full(at);
  time.textContent = clock(at);
  const href = inbox.link(row.url, location.origin);
  slot("link").hidden = !href;
  slot("link").href = href || "/inbox/";
  article.dataset.key = row.key;
  buttons(article, row);
}

export function closeReader(event) {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const key = openKey();
  go(null);
  document.querySelector(`[data-key="${CSS.escape(key)}"] .row-text`)?.focus();
}

/** Reading is opening: an unread row that is opened becomes read. */
function read(key) {
  const row = inbox.rows(store.state).find((item) => item.key === key);
  if (row?.unread) act("/inbox/read/", [["key", key]]);
}

if (page) {
  page.querySelector("[data-rows]").addEventListener("click", (event) => {
    const link = event.target.closest(".row-text");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    const { key } = link.closest(".row").dataset;
    if (!inbox.rows(store.state).some((row) => row.key === key)) return;
    event.preventDefault();
    go(key);
    read(key);
    if (getComputedStyle(link).display !== "none" && link.offsetParent === null) {
      article.querySelector("h2").focus();
    }
  });
  addEventListener("popstate", changed);
  if (openKey()) setTimeout(() => read(openKey()), 0);
}
