// The overview's banner: the newest announcement that is not read.

import { link } from "./inbox.js";

/** Show the newest unread announcement of `rows`, or none. */
export function banner(rows) {
  const box = document.querySelector("[data-banner]");
  if (!box) return;
  const row = rows.find((item) => item.announcement && item.unread);
  box.hidden = !row;
  if (!row) return;
  box.querySelector('[data-slot="title"]').textContent = row.title;
  box.querySelector('[data-slot="body"]').textContent = row.body;
  const href = link(row.url, location.origin);
  box.querySelector('[data-slot="link"]').hidden = !href;
  box.querySelector('[data-slot="link"]').href = href || "/inbox/";
  box.querySelector("button").value = row.key;
}
