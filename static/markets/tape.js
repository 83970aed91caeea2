// The tape: newest on top, held while it is read, and honest about gaps in the trade numbers.
import { amount, clock } from "./format.js";
import { put, way } from "./paint.js";

const SHOWN = 50;
const KEPT = 200;

/** Keys of the newest trades, newest first; what lies far behind them is dropped from `rows`. */
export function newest(rows, count = SHOWN) {
  const keys = [...rows.keys()].sort((one, other) => Number(other) - Number(one));
  for (const key of keys.slice(KEPT)) rows.delete(key);
  return keys.slice(0, count);
}

/** How many trade numbers are missing between the trades of `keys`. */
export function missing(rows, keys) {
  if (keys.length < 2) return 0;
  const first = BigInt(rows.get(keys[0]).trade_id);
  const last = BigInt(rows.get(keys.at(-1)).trade_id);
  return Number(first - last) - keys.length + 1;
}

export function tape(root, rows, known, named) {
  const list = root.querySelector("[data-rows]");
  const template = document.getElementById("trade-row").content.firstElementChild;
  const says = root.querySelector("[data-slot=held]");
  let held = false;
  let since = 0;

  function fill(row, body) {
    if (row.dataset.trade === body.trade_id) return;
    row.dataset.trade = body.trade_id;
    row.classList.toggle("named", body.trade_id === named);
    const bought = body.side === "buy";
    const price = row.querySelector("[data-f=price]");
    const text = amount(body.price, known.pricePlaces);
    put(row.querySelector("[data-f=time]"), clock(body.traded_at));
    put(row.querySelector("[data-f=arrow]"), bought ? "▲" : "▼");
    put(row.querySelector("[data-f=side]"), bought ? "taker bought, " : "taker sold, ");
    put(row.querySelector("[data-f=text]"), text);
    put(row.querySelector("[data-f=quantity]"), amount(body.quantity, known.quantityPlaces));
    price.setAttribute("href", `?price=${text.replaceAll(",", "")}#new-alert`);
    way(price, bought ? "up" : "down");
  }

  function draw() {
    if (held) return put(says, `paused, ${since} new`);
    const keys = newest(rows);
    while (list.children.length < keys.length) list.append(template.cloneNode(true));
    while (list.children.length > keys.length) list.lastElementChild.remove();
    keys.forEach((key, place) => fill(list.children[place], rows.get(key)));
    list.querySelectorAll("[data-f=price]").forEach((price, place) => (price.tabIndex = place ? -1 : 0));
    const gaps = missing(rows, keys);
    put(says, keys.length < 2 ? "" : gaps ? `${gaps} missing` : "no gaps");
    root.querySelector("[data-empty]").hidden = keys.length > 0;
  }

  function hold(now) {
    if (now === held) return;
    held = now;
    since = 0;
    root.classList.toggle("is-held", held);
    draw();
  }
  const inside = () => list.matches(":hover") || list.contains(document.activeElement);
  for (const event of ["pointerenter", "pointerleave"]) list.addEventListener(event, () => hold(inside()));
  list.addEventListener("focusin", () => hold(true));
  list.addEventListener("focusout", () => queueMicrotask(() => hold(inside())));
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = event.target.closest("li");
    const next = step && (step > 0 ? row?.nextElementSibling : row?.previousElementSibling);
    if (!step || !row) return;
    event.preventDefault();
    next?.querySelector("[data-f=price]").focus();
  });

  return {
    draw,
    changed(publication) {
      if (held && publication?.op === "i") since += 1;
    },
  };
}
