// The overview's watch list and alerts; an alert's bar grows as the price nears it.
import * as alertRows from "./alerts.js";
import { amount } from "./format.js";
import { follow, rowsOf } from "./follow.js";
import { told } from "./fresh.js";
import { painter, put } from "./paint.js";
import { watcher } from "./watch.js";

const NEAR = 0.01; // a bar is empty this share of the price away, full at the price
const page = JSON.parse(document.getElementById("market").textContent);
const tickers = rowsOf(page.tickers.rows);
const alerts = rowsOf(page.alerts.rows);
const prices = watcher(tickers, page.markets, "");

/** Per cent of an alert's bar. */
export function nearness(price, last) {
  if (!last) return 0;
  return Math.round(100 * Math.max(0, 1 - Math.abs(Number(price) - Number(last)) / (Number(last) * NEAR)));
}

const rows = alertRows.list(
  document.querySelector("[data-wishes]"),
  document.getElementById("wish-row"),
  (row, key, body) => {
    const places = page.markets[body.market_id]?.pricePlaces ?? 2;
    const ticker = tickers.get(body.market_id);
    const link = row.querySelector("[data-f=market]");
    link.setAttribute("href", `/market/${encodeURIComponent(body.market_id)}/`);
    put(link, body.market_id);
    put(row.querySelector("[data-f=direction]"), body.direction === "up" ? "above" : "below");
    put(row.querySelector("[data-f=price]"), amount(body.price, places));
    put(row.querySelector("[data-f=away]"), alertRows.away(body, ticker, places));
    row.querySelector("[data-f=near]").setAttribute("width", String(nearness(body.price, ticker?.last)));
  },
);

const paint = painter(() => {
  prices();
  const entries = alertRows.ordered(alerts);
  rows(entries);
  alertRows.armed(entries);
  document.querySelector("[data-alerts-empty]").hidden = entries.length > 0;
});

follow(page.tickers, tickers, (publication) => {
  if (publication) told("tickers", publication.at);
  paint();
});
follow(page.alerts, alerts, paint);
