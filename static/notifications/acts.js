// What a person does: the page's own forms, sent without leaving the page while the line is live.
// The change comes back as a row like any other. Offline it waits, is shown as waiting, and is kept.

import * as inbox from "./inbox.js";
import * as store from "./store.js";
import * as live from "../tocsin/live.js";
import { say } from "../tocsin/says.js";
import { toast } from "../tocsin/toasts.js";

const UNDO_MS = 10_000;
const shelf = `waiting:${store.user}`;
const listeners = new Set();
export const onWaiting = (listener) => listeners.add(listener);

function waiting() {
  try {
    return JSON.parse(localStorage.getItem(shelf) ?? "[]");
  } catch {
    return [];
  }
}

function keep(acts) {
  try {
    localStorage.setItem(shelf, JSON.stringify(acts));
  } catch {
    toast({ words: "This browser keeps nothing: it could not wait." });
  }
  listeners.forEach((listener) => listener());
}

/** The keys of rows that something waits to be done to. */
export function waitingKeys() {
  const fields = waiting().flatMap(([, named]) => named);
  return new Set(fields.filter(([name]) => name === "key").map(([, key]) => key));
}

export const waitingCount = () => waiting().length;

const cookie = (name) => document.cookie.match(new RegExp(`(?:^|; )${name}=([^;]*)`))?.[1] ?? "";

async function send(url, fields) {
  const body = new URLSearchParams(fields.filter(([name]) => name !== "csrfmiddlewaretoken"));
  return fetch(url, {
    method: "POST",
    body,
    headers: { Accept: "application/json", "X-CSRFToken": cookie("csrftoken") },
  });
}

/** Whether the server did it; else say so. An answer from elsewhere is the sign-in's: go there. */
function done(answer) {
  if (answer.redirected) {
    location.assign(answer.url);
    return false;
  }
  if (!answer.ok) toast({ words: `The server answered ${answer.status}. Nothing was changed.` });
  return answer.ok;
}

/** Post these fields, now or when the line is back. Answers the ids that changed. */
export async function act(url, fields) {
  let answer;
  try {
    answer = live.isLive() && (await send(url, fields));
  } catch {
    answer = false; // the line went away meanwhile
  }
  if (!answer) keep([...waiting(), [url, fields]]);
  if (!answer || !done(answer)) return [];
  const { ids } = await answer.json();
  if (url.endsWith("/archive/") && ids.length) offerUndo(ids);
  return ids;
}

function offerUndo(ids) {
  const words = `${ids.length} archived`;
  say(words);
  const run = () => act("/inbox/unarchive/", ids.map((id) => ["key", String(id)]));
  toast({ words, action: { label: "Undo", run }, stay_ms: UNDO_MS });
}

let flushing = false;

// another tab may have sent it, too: take away the one that was sent, never the one behind it
function without(acts, sent) {
  const index = acts.findIndex((one) => JSON.stringify(one) === sent);
  return acts.filter((_, i) => i !== index);
}

/** Send what waited, in its order. */
export async function flush() {
  if (flushing || !waiting().length) return;
  flushing = true;
  try {
    while (waiting().length && live.isLive()) {
      const [[url, fields]] = waiting();
      done(await send(url, fields));
      keep(without(waiting(), JSON.stringify([url, fields])));
    }
  } catch {
    // the line went away again: what is left goes on waiting
  }
  flushing = false;
}

function fieldsOf(form, submitter) {
  if (!form.matches("[data-read-all]")) return [...new FormData(form, submitter)];
  const { keys: unread, older_than, number } = inbox.known(store.state);
  return [["known", ""], ["older_than", String(older_than)], ["number", String(number)], ...unread.map((key) => ["key", key])];
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-act], [data-read-all], [data-unread-all]")) return;
  // connecting, but the server may well answer: then as without scripts
  if (!live.isLive() && document.documentElement.dataset.line !== "offline") return;
  event.preventDefault();
  const button = event.submitter;
  const url = button?.hasAttribute("formaction") ? button.getAttribute("formaction") : form.getAttribute("action");
  form.setAttribute("aria-busy", "true");
  act(url, fieldsOf(form, button)).finally(() => form.removeAttribute("aria-busy"));
});
