// What the page knows of a person's inbox, and how a publication changes it. Pure: no page, no clock.
// Announcements are read by a receipt or by the watermark: a set, never a sum.

import { apply, fromSnapshot, isChange } from "../tocsin/rows.js";

const isReceipt = (key) => key.startsWith("receipt:");
const isWatermark = (key) => key.startsWith("watermark:");
const isNotification = (key) => !key.includes(":");

/** The state of a served page: `page` is its #frame, `rows` its #inbox-rows. */
export function begin(page, rows = []) {
  return {
    rows: new Map(rows.map(({ key, body }) => [key, body])),
    counts: { unread: 0, unseen: 0, ...page.inbox.counts },
    receipts: new Set(page.receipts.map(Number)),
    watermark: { seen_number: 0, read_number: 0, ...page.watermark },
    announcements: new Map(page.announcements.rows.map(({ key, body }) => [key, body])),
  };
}

/** The state after a publication of `inbox:#…`. */
export function applyInbox(state, publication) {
  if (!isChange(publication)) return state;
  const { key, body, counts = {}, op } = publication;
  if (isReceipt(key)) {
    return { ...state, receipts: new Set([...state.receipts, Number(body.announcement_id)]) };
  }
  if (isWatermark(key)) return op === "d" ? state : { ...state, watermark: body };
  const next = { ...state.counts };
  for (const [name, delta] of Object.entries(counts)) next[name] = (next[name] ?? 0) + delta;
  return { ...state, counts: next, rows: apply(state.rows, publication) };
}

/** The state after a publication of `announcements:all`. */
export function applyAnnouncement(state, publication) {
  return { ...state, announcements: apply(state.announcements, publication) };
}

/** The state with the inbox begun anew: a recovery was not possible. */
export function inboxAnew(state, data) {
  const all = new Map(data.rows.map(({ key, body }) => [key, body]));
  const anew = {
    ...state,
    rows: new Map([...all].filter(([key]) => isNotification(key))),
    counts: { unread: 0, unseen: 0, ...data.counts },
    receipts: new Set([...all].filter(([key]) => isReceipt(key)).map(([, body]) => Number(body.announcement_id))),
    watermark: [...all].find(([key]) => isWatermark(key))?.[1] ?? { seen_number: 0, read_number: 0 },
  };
  return (data.publications ?? []).reduce(applyInbox, anew);
}

export const announcementsAnew = (state, data) => ({ ...state, announcements: fromSnapshot(data) });

const unreadAnnouncements = (state) =>
  [...state.announcements.values()].filter(
    (body) => body.number > state.watermark.read_number && !state.receipts.has(Number(body.id)),
  );

export const unread = (state) => state.counts.unread + unreadAnnouncements(state).length;

export const unseen = (state) =>
  state.counts.unseen +
  unreadAnnouncements(state).filter((body) => body.number > state.watermark.seen_number).length;

/** Every row, newest first: `{key, kind, title, body, url, at, unread, archived, announcement}`. */
export function rows(state) {
  const open = new Set(unreadAnnouncements(state).map((body) => body.id));
  const mine = [...state.rows].map(([key, body]) => ({
    ...body,
    key,
    at: Date.parse(body.created_at),
    unread: body.read_at === null,
    archived: body.archived_at !== null,
    announcement: false,
  }));
  const all = [...state.announcements.values()].map((body) => ({
    ...body,
    key: `announcement:${body.id}`,
    kind: "announcement",
    at: Date.parse(body.published_at),
    unread: open.has(body.id),
    archived: false,
    announcement: true,
  }));
  return [...mine, ...all].sort((a, b) => b.at - a.at || b.id - a.id);
}

/** The rows of a view: all, unread or archived. */
export function view(state, name) {
  if (name === "archived") return rows(state).filter((row) => row.archived);
  return rows(state).filter((row) => !row.archived && (row.unread || name === "all"));
}

/** What "mark all read" means now: what arrives after the press is not in it. */
export function known(state) {
  const unreadKeys = [...state.rows].filter(([, b]) => !b.read_at && !b.archived_at).map(([key]) => key);
  const ids = [...state.rows.keys()].map(Number);
  return {
    keys: unreadKeys,
    older_than: unreadKeys.length < state.counts.unread && ids.length ? Math.min(...ids) : "",
    number: Math.max(0, ...[...state.announcements.values()].map((body) => body.number)),
  };
}

/** A link that is safe to follow, else nothing: the row may have been written by anything. */
export function link(url, origin) {
  if (!url) return "";
  try {
    const target = new URL(url, origin);
    const inside = url.startsWith("/") && target.origin === origin;
    const outside = /^https?:\/\//i.test(url) && /^https?:$/.test(target.protocol);
    return inside || outside ? target.href : "";
  } catch {
    return "";
  }
}
