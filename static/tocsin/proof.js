// The proof page: counts rows by the tables and by the line, and writes down what each press did.

import { revocation } from "./ada.js";
import { Ledger, total } from "./ledger.js";
import { isLive, serverNow, subscribe } from "./live.js";
import { pause, presses, rows } from "./presses.js";
import { fromSnapshot } from "./rows.js";
import { say } from "./says.js";
import { clock } from "./times.js";

const ASK_MS = 1000;
const DRAW_MS = 250;
const page = JSON.parse(document.getElementById("proof").textContent);
const kinds = Object.keys(page.since);
const books = Object.fromEntries(kinds.map((kind) => [kind, new Ledger(page.since[kind])]));
const one = (selector) => document.querySelector(selector);
const slot = (name) => one(`[data-slot="${name}"]`);
const number = new Intl.NumberFormat("en-GB");
const write = (element, text) => element.textContent !== text && (element.textContent = text);
const sums = () => total(Object.values(books));
const log = presses(sums);
let calm = Date.now(); // until then something was broken, or the line was not whole
let asked = Date.now(); // the tables, for the last time

slot("began").textContent = clock(new Date());

for (const { kind, topic, epoch, offset } of page.topics) {
  subscribe(topic, {
    position: { epoch, offset },
    onSnapshot: (data) => data && books[kind].shown([...fromSnapshot(data).keys()].map(Number)),
    onPublication(told) {
      if (told?.op !== "i") return; // a candle grows while its second lasts
      const age = Math.max(0, serverNow() - told.at);
      books[kind].brought(Number(told.key), age);
      log.felt(age);
    },
  });
}

// --- What the tables hold

async function ask() {
  const begun = Date.now();
  const since = Object.fromEntries(kinds.map((kind) => [kind, books[kind].ask]));
  try {
    const answer = await fetch(`/proof/committed?${new URLSearchParams(since)}`);
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    const told = await answer.json();
    for (const kind of kinds) books[kind].tells(since[kind], told.ids[kind], told.more.includes(kind), Date.now());
    ada?.active(told.ada_active);
    asked = begun;
  } catch {
    // it is asked again; meanwhile nothing is counted
  }
  setTimeout(ask, ASK_MS);
}

// --- What is shown

function verdict({ committed, delivered, waiting, lost, repeated, gone }) {
  if (lost) return ["bad", `${number.format(lost)} of ${rows(committed)} did not arrive.`];
  if (repeated) return ["bad", `${rows(repeated)} arrived twice.`];
  const away = waiting ? ` Not here yet: ${rows(waiting)}.` : "";
  if (!isLive()) return ["wait", `The line is away.${away}`];
  if (Date.now() - asked > 3 * ASK_MS) return ["wait", `The server does not say what the tables hold.${away}`];
  if (!committed) return ["wait", "Waiting for the first row."];
  if (waiting) return ["wait", `Not here yet: ${number.format(waiting)} of ${rows(committed)}.`];
  const but = gone ? ` The recording began anew and cleared ${number.format(gone)} of them on their way.` : "";
  return ["good", `All ${rows(delivered)} arrived, each once.${but}`];
}

let tone = "wait";
function draw() {
  const now = Date.now();
  if (!isLive() || log.broken()) calm = now;
  Object.values(books).forEach((book) => book.judge(now, calm));
  const counts = sums();
  document.querySelectorAll("[data-count-of]").forEach((cell) => {
    const name = cell.dataset.countOf;
    write(cell, name === "longest" ? pause(counts.longest) : number.format(counts[name]));
    if ("bad" in cell.dataset) cell.classList.toggle("down", counts[name] > 0);
  });
  const [mood, words] = verdict(counts);
  write(slot("verdict"), words);
  slot("verdict").dataset.tone = mood;
  if (mood !== tone && mood !== "wait") say(words);
  tone = mood;
  log.draw(isLive() ? asked : 0);
}

// --- Buttons

async function post(form, address = form.action) {
  return fetch(address, { method: "POST", body: new FormData(form), headers: { Accept: "application/json" } });
}

async function hit(form) {
  const entry = log.begin(form.dataset.hit, Number(form.dataset.watch) * 1000);
  try {
    const answer = await post(form);
    const { says } = await answer.json();
    answer.ok ? entry.says(says) : entry.refused(says);
    return entry;
  } catch {
    return entry.refused("The server did not answer.");
  }
}

const ada = page.ada && revocation({ page, form: one("[data-ada]"), line: slot("ada-line"), post, log });

addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-hit], [data-ada]");
  if (!form) return;
  event.preventDefault();
  const button = form.querySelector("button");
  if (button.ariaDisabled === "true") return;
  const label = button.textContent;
  const begun = "hit" in form.dataset ? hit(form) : ada.press();
  button.ariaDisabled = "true"; // not `disabled`: the focus stays on it
  button.textContent = "Watching";
  await (await begun).over;
  button.ariaDisabled = null;
  button.textContent = label;
});

setInterval(draw, DRAW_MS);
ask();
