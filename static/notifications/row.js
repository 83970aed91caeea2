// One row of a list, as the server's notifications/_row.html writes it.

import { full, short } from "../tocsin/times.js";
import { icon } from "../tocsin/toasts.js";

/** Make `node`, a clone of the served row, show `row`. */
export function fill(node, row, { now, view, open, waiting }) {
  node.dataset.key = row.key;
  node.classList.toggle("unread", row.unread);
  node.classList.toggle("open", row.key === open);
  node.classList.toggle("waiting", waiting.has(row.key));
  if (node.dataset.kind !== row.kind) {
    node.dataset.kind = row.kind;
    node.querySelector(".tile").replaceChildren(icon(row.kind));
  }
  node.querySelector(".dot .hidden-words").textContent = row.unread ? "Unread" : "";
  node.querySelector(".row-title").textContent = row.title;
  node.querySelector(".row-body").textContent = row.body;
  const text = node.querySelector(".row-text");
  text.href = `/inbox/?view=${view}&open=${encodeURIComponent(row.key)}`;
  if (row.key === open) text.setAttribute("aria-current", "true");
  else text.removeAttribute("aria-current");
  const time = node.querySelector("time");
  const at = new Date(row.at);
  time.dateTime = at.toISOString();
  time.textContent = short(at, now);
  time.title = full(at);
  buttons(node, row);
}

/** Which verbs a row has now, and their names. */
export function buttons(node, row) {
  const has = {
    read: row.unread,
    unread: !row.unread && !row.announcement,
    archive: !row.archived && !row.announcement,
    unarchive: row.archived,
  };
  for (const button of node.querySelectorAll("[data-verb]")) {
    button.hidden = !has[button.dataset.verb];
    button.value = row.key;
    const label = button.getAttribute("aria-label");
    if (label) button.setAttribute("aria-label", `${button.title}: ${row.title}`);
  }
}
