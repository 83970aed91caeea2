// The frame of every page of a signed-in person: connection, counts, theme, toasts, the end of a session.

import * as inbox from "../notifications/inbox.js";
import * as store from "../notifications/store.js";
import { flush, waitingCount } from "../notifications/acts.js";
import * as live from "./live.js";
import { say } from "./says.js";
import { clock, full, short } from "./times.js";
import { toast } from "./toasts.js";

const all = (selector) => document.querySelectorAll(selector);
const one = (selector) => document.querySelector(selector);
const write = (element, text) => element && element.textContent !== text && (element.textContent = text);

// --- The connection mark

const WORDS = {
  live: "Live",
  connecting: "Connecting",
  catching: "Catching up",
  stale: "Stale since",
  offline: "Offline since",
};

live.onState(({ state, since, age, topics, reconnects, lastAt, ended }) => {
  const mark = one("[data-connection]");
  if (!mark) return;
  mark.dataset.state = state;
  write(one("[data-connection-words]"), WORDS[state].endsWith("since") && since ? `${WORDS[state]} ${clock(since)}` : WORDS[state]);
  write(one("[data-connection-age]"), state === "live" && age !== null ? `${Math.round(age)} ms` : "");
  one("[data-connection-age]").hidden = state !== "live" && state !== "connecting";
  write(one("[data-connection-topics]"), String(topics));
  write(one("[data-connection-reconnects]"), String(reconnects));
  if (lastAt) write(one("[data-connection-last]"), `${short(new Date(lastAt), new Date())} ago`);
  document.documentElement.dataset.line = state;
  offline(state === "offline" ? since : null, ended);
  if (state === "live") flush();
});

function offline(since, ended) {
  if (!since) return one("[data-offline]")?.remove();
  const notice = one("[data-offline]") ?? offlineNotice(since);
  const count = waitingCount();
  const waits = ["What you do waits and goes", "1 action is waiting and goes"][count] ?? `${count} actions are waiting and go`;
  const words = ended ? `The server closed the line: ${ended}.` : `Reading works. ${waits} out when the line is back.`;
  write(notice.querySelector(".ink2"), words);
  return undefined;
}

function offlineNotice(since) {
  const box = document.createElement("div");
  box.className = "notice warn";
  box.dataset.offline = "";
  box.innerHTML = '<p class="text"><strong></strong><br><span class="ink2"></span></p>';
  box.querySelector("strong").textContent = `You are offline. This is what we knew at ${clock(since)}.`;
  const again = document.createElement("button");
  again.type = "button";
  again.className = "action";
  again.textContent = "Try now";
  again.addEventListener("click", live.tryNow);
  box.append(again);
  (one("[data-notices]") ?? one("main")).prepend(box);
  say("You are offline");
  return box;
}

live.onBack(({ missed, reloaded }) => {
  const caughtUp = ["Nothing was missed.", "1 change caught up."][missed] ?? `${missed} changes caught up.`;
  const words = reloaded ? "Reloaded, the gap was too long." : `Back online. ${caughtUp}`;
  toast({ words });
  say(words);
});

// --- Counts: written only after the row is there

/** One of two buttons in one place: the focus stays with whichever is there. */
function offer(form, offered) {
  if (form.hidden !== offered) return;
  const focused = form.parentElement.contains(document.activeElement);
  form.hidden = !offered;
  if (focused) (offered ? form : form.parentElement).querySelector("button").focus();
}

function counts(state) {
  const unread = inbox.unread(state);
  const unseen = inbox.unseen(state);
  all('[data-count="unread"]').forEach((e) => write(e, unread ? String(unread) : (e.dataset.zero ?? "")));
  all("[data-unread-all]").forEach((form) => offer(form, unread === 0 && Boolean(one("[data-rows] [data-key]"))));
  all("[data-badge]").forEach((element) => {
    element.hidden = !unseen;
    write(element, unseen > 99 ? "99+" : String(unseen));
  });
  one("[data-bell]")?.setAttribute("aria-label", unseen ? `Notifications, ${unseen} new` : "Notifications");
  const title = document.title.replace(/^\(\d+\) /, "");
  document.title = unseen ? `(${unseen}) ${title}` : title;
  const icon = one('link[rel="icon"]');
  const wanted = unseen ? icon.dataset.new : icon.dataset.calm;
  if (icon.getAttribute("href") !== wanted) icon.setAttribute("href", wanted);
  if (navigator.setAppBadge) navigator.setAppBadge(unseen).catch(() => {});
}

store.onChange(counts);

// --- Toasts: for what just came and is not on this screen

store.onChange((state, publication, { recovered, key }) => {
  if (recovered || publication?.op !== "i") return;
  const row = inbox.rows(state).find((item) => item.key === key);
  if (!row) return; // a receipt
  say(`New: ${row.title}`);
  if (document.hidden || one("[data-inbox]")) return;
  const href = inbox.link(row.url, location.origin) || `/inbox/?open=${encodeURIComponent(row.key)}`;
  toast({ kind: row.kind, words: row.title, action: { label: "Open", href } });
});

// --- Theme and menus

function theme() {
  const choice = document.documentElement.dataset.theme;
  all("[data-theme-choice]").forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.themeChoice === choice)));
}
all("[data-theme-choice]").forEach((button) =>
  button.addEventListener("click", () => {
    globalThis.tocsinTheme.choose(button.dataset.themeChoice);
    button.closest("details").open = false;
  }),
);
addEventListener("themechange", theme);
theme();

addEventListener("click", (event) => {
  all("details[data-menu][open]").forEach((menu) => menu.contains(event.target) || (menu.open = false));
});
addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  all("details[data-menu][open]").forEach((menu) => {
    menu.open = false;
    menu.querySelector("summary").focus();
  });
});

// --- Times

export function times(root = document) {
  const now = new Date(live.serverNow());
  root.querySelectorAll("time[datetime]").forEach((element) => {
    const at = new Date(element.dateTime);
    write(element, short(at, now));
    element.title = full(at);
  });
}
setInterval(times, 10_000);
times();

// --- The end of a session: nothing private stays on the screen

live.onGone((reason, topic) => {
  if (topic && !topic.startsWith("inbox:")) {
    toast({ words: "You can no longer see a part of this page. Reload it." });
    return;
  }
  store.clear();
  all("[data-private], script[type='application/json'], #row").forEach((element) => element.remove());
  document.title = "Signed out · Tocsin";
  const dialog = one("[data-gone]");
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  dialog.querySelector("a").search = `?next=${encodeURIComponent(location.pathname)}`;
  dialog.showModal();
});
addEventListener("pageshow", (event) => event.persisted && location.reload());

store.start();
