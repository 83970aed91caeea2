// The one place that holds the inbox on this page: begun as served, kept by two topics.

import * as live from "../tocsin/live.js";
import { isChange } from "../tocsin/rows.js";
import * as inbox from "./inbox.js";

const read = (id) => JSON.parse(document.getElementById(id)?.textContent ?? "null");
const page = read("frame");
const listeners = new Set();

export const user = page.user;
export let state = inbox.begin(page, read("inbox-rows") ?? []);
/** `listener(state, publication | null, {recovered, key})`, after each change; `key` as in `inbox.rows`. */
export const onChange = (listener) => listeners.add(listener);

function become(next, publication, context = { recovered: true }) {
  state = next;
  listeners.forEach((listener) => listener(state, publication, context));
}

function follow(part, prefix, begin, step) {
  let subscription;
  const start = (position) => {
    subscription = live.subscribe(part.topic, {
      position,
      onSnapshot: (data) => data && become(begin(state, data), null),
      onPublication(publication, context) {
        if (!isChange(publication)) return;
        if (publication.op === "o") {
          // too large for the stream: the rows of a new snapshot hold it
          subscription.stop();
          start(null);
          return;
        }
        become(step(state, publication), publication, { ...context, key: prefix + publication.key });
      },
    });
  };
  start(part);
}

export function start() {
  follow(page.inbox, "", inbox.inboxAnew, inbox.applyInbox);
  follow(page.announcements, "announcement:", inbox.announcementsAnew, inbox.applyAnnouncement);
}

/** Forget everything: the person may no longer see it. */
export function clear() {
  state = inbox.begin({ inbox: {}, receipts: [], watermark: {}, announcements: { rows: [] } });
  listeners.clear();
}
