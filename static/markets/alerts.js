// A person's alerts: what is left to each price, the form that sets one, and undo for what was deleted.
import { amount, distance, plain } from "./format.js";
import { put } from "./paint.js";

const UNDO_MS = 10_000;
const WORDS = { up: "above", down: "below" };

export function away(body, ticker, places) {
  if (body.state !== "armed" || !ticker?.last) return body.state;
  return `${plain(distance(body.price, ticker.last), places)} away`;
}

/** The alerts of one market, or of all, the highest price on top. */
export function ordered(alerts, market) {
  return [...alerts]
    .filter(([, body]) => !market || body.market_id === market)
    .sort(([, a], [, b]) => a.market_id.localeCompare(b.market_id) || Number(b.price) - Number(a.price));
}

/** Rows in place: kept by key, so that a menu stays open and the focus where it is. */
export function list(element, template, fill) {
  return (entries) => {
    const known = new Map([...element.children].map((row) => [row.dataset.alert, row]));
    entries.forEach(([key, body], place) => {
      const row = known.get(key) ?? template.content.firstElementChild.cloneNode(true);
      known.delete(key);
      row.dataset.alert = key;
      row.dataset.state = body.state;
      fill(row, key, body);
      if (element.children[place] !== row) element.insertBefore(row, element.children[place] ?? null);
    });
    for (const row of known.values()) row.remove();
  };
}

export function armed(entries) {
  const count = entries.filter(([, body]) => body.state === "armed").length;
  for (const slot of document.querySelectorAll("[data-slot=armed]")) put(slot, String(count));
}

/** Send a form's fields; gives back the answer, with its errors by field. */
export async function send(url, fields) {
  const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
  const body = new URLSearchParams({ ...fields, csrfmiddlewaretoken: token });
  const answer = await fetch(url, { method: "POST", body, headers: { Accept: "application/json" } });
  if (answer.ok || answer.status === 400) return answer.json();
  throw new Error(`The server answered ${answer.status}. Try again.`);
}

export function panel({ alerts, tickers, symbol, known }) {
  const root = document.querySelector("[data-alerts]");
  const form = document.querySelector("[data-new-alert]");
  const errors = form.querySelector("[data-errors]");
  const undo = document.querySelector("[data-undo]");
  const url = form.getAttribute("action");
  let forget;

  const rows = list(root, document.getElementById("alert-row"), (row, key, body) => {
    put(row.querySelector("[data-f=way]"), body.direction === "up" ? "↑" : "↓");
    put(row.querySelector("[data-f=direction]"), WORDS[body.direction]);
    put(row.querySelector("[data-f=price]"), amount(body.price, known.pricePlaces));
    put(row.querySelector("[data-f=note]"), body.note);
    put(row.querySelector("[data-f=away]"), away(body, tickers.get(symbol), known.pricePlaces));
    const name = `Change the alert ${WORDS[body.direction]} ${amount(body.price, known.pricePlaces)}`;
    row.querySelector("summary").setAttribute("aria-label", name);
    for (const button of row.querySelectorAll("[data-verb]"))
      button.setAttribute("formaction", `/alerts/${key}/${button.dataset.verb}/`);
  });

  function draw() {
    const entries = ordered(alerts, symbol);
    rows(entries);
    armed(entries);
    document.querySelector("[data-alerts-empty]").hidden = entries.length > 0;
    sayDistance();
  }

  function sayDistance() {
    const price = form.elements.price.value.replaceAll(",", "").trim();
    const last = tickers.get(symbol)?.last;
    const words = form.querySelector("[data-distance]");
    if (!last || !/^\d+(\.\d{1,8})?$/.test(price)) return put(words, "A click on any price fills this in.");
    const share = ((Number(price) - Number(last)) / Number(last)) * 100;
    const sign = share < 0 ? "−" : "+";
    put(words, `${plain(distance(price, last), known.pricePlaces)} away, ${sign}${Math.abs(share).toFixed(2)} %.`);
  }

  async function set(fields) {
    put(errors, "");
    try {
      const answer = await send(url, fields);
      put(errors, Object.values(answer.errors ?? {}).flat().join(" "));
      return !Object.keys(answer.errors ?? {}).length;
    } catch (error) {
      put(errors, error instanceof TypeError ? "You are offline. The alert was not set." : error.message);
      return false;
    }
  }

  form.elements.price.addEventListener("input", sayDistance);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector(".action");
    button.disabled = true;
    const done = await set(Object.fromEntries(new FormData(form)));
    button.disabled = false;
    if (!done) return form.elements.price.focus();
    form.elements.price.value = "";
    form.elements.note.value = "";
    sayDistance();
  });

  root.addEventListener("submit", async (event) => {
    const { verb } = event.submitter.dataset;
    const row = event.target.closest("[data-alert]");
    const body = alerts.get(row.dataset.alert);
    event.preventDefault();
    event.target.closest("details").open = false;
    try {
      await send(event.submitter.getAttribute("formaction"), {});
    } catch {
      return put(errors, "That did not reach the server. Nothing was changed.");
    }
    if (verb === "delete") offer(body);
  });

  function offer(body) {
    undo.hidden = false;
    clearTimeout(forget);
    forget = setTimeout(() => (undo.hidden = true), UNDO_MS);
    undo.querySelector("button").onclick = async () => {
      undo.hidden = true;
      const { direction, price, note, state, once } = body;
      await set({ direction, price, note, state, ...(once ? { once: "on" } : {}) });
    };
    undo.querySelector("button").focus();
  }

  return {
    draw,
    take(price) {
      const last = tickers.get(symbol)?.last;
      form.elements.price.value = price;
      if (last) form.elements.direction.value = Number(price) < Number(last) ? "down" : "up";
      sayDistance();
      form.elements.price.focus();
    },
  };
}
