// The market page: prices, chart, tape and alerts go live from the positions it was served with.
import * as alertRows from "./alerts.js";
import { chart } from "./chart.js";
import { follow, rowsOf } from "./follow.js";
import { told } from "./fresh.js";
import { painter } from "./paint.js";
import { tape } from "./tape.js";
import { watcher } from "./watch.js";

const page = JSON.parse(document.getElementById("market").textContent);
const { symbol } = page;
const known = page.markets[symbol];
const root = document.querySelector("[data-market-page]");
const tickers = rowsOf(page.tickers.rows);
const trades = rowsOf(page.trades.rows);
const alerts = rowsOf(page.alerts.rows);
const candles = new Map();

const prices = watcher(tickers, page.markets, symbol);
const wishes = alertRows.panel({ alerts, tickers, symbol, known });
const rolls = tape(root.querySelector("[data-tape]"), trades, known, page.trade?.trade_id);
const drawing = chart(root.querySelector("[data-chart]"), candles, known, root.querySelector(".chart-legend [data-slot=legend]"));

const paintPrices = painter(() => {
  prices();
  wishes.draw();
});
const paintTape = painter(rolls.draw);
const paintChart = painter(drawing.draw);
const paintMarks = painter(() => drawing.marks(alertRows.ordered(alerts, symbol)));

follow(page.tickers, tickers, (publication) => {
  if (publication) told("tickers", publication.at);
  paintPrices();
});
follow(page.trades, trades, (publication) => {
  if (publication) told("trades", publication.at);
  rolls.changed(publication);
  paintTape();
});
follow({ topic: `candles:${symbol}:1s` }, candles, (publication) => {
  paintChart();
  if (!publication && page.trade) setTimeout(() => drawing.show(Date.parse(page.trade.traded_at) / 1000), 300);
});
follow(page.alerts, alerts, () => {
  paintPrices();
  paintMarks();
});
paintPrices();
paintTape();
paintMarks();

// A price that is clicked goes into the form
const step = known.pricePlaces;
drawing.onPrice((price) => wishes.take(price.toFixed(step)));
root.querySelector("[data-rows]").addEventListener("click", (event) => {
  const price = event.target.closest("[data-f=price]");
  if (!price || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  showTab("alerts");
  wishes.take(price.querySelector("[data-f=text]").textContent.replaceAll(",", ""));
});

// One second or one minute
const intervals = root.querySelector("[data-intervals]");
intervals.hidden = false;
intervals.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  for (const each of intervals.children) each.setAttribute("aria-pressed", String(each === button));
  drawing.interval(Number(button.dataset.interval));
});

// On the phone: trades or alerts
const narrow = matchMedia("(max-width: 767px)");
const tabs = root.querySelector("[data-tabs]");
let open = location.hash === "#new-alert" || location.search.includes("price=") ? "alerts" : "trades";

function showTab(name) {
  open = name;
  tabs.hidden = !narrow.matches;
  root.classList.toggle("has-tabs", narrow.matches);
  for (const tab of tabs.children) {
    const mine = tab.id === `tab-${open}`;
    tab.setAttribute("aria-selected", String(mine));
    tab.tabIndex = mine ? 0 : -1;
    const part = document.getElementById(tab.getAttribute("aria-controls"));
    part.hidden = narrow.matches && !mine;
  }
  root.querySelector("[data-phone-new]").hidden = narrow.matches && open === "alerts";
}
narrow.addEventListener("change", () => showTab(open));
tabs.addEventListener("click", (event) => event.target.closest("[role=tab]") && showTab(event.target.closest("[role=tab]").id.slice(4)));
tabs.addEventListener("keydown", (event) => {
  if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
  showTab(open === "trades" ? "alerts" : "trades");
  document.getElementById(`tab-${open}`).focus();
});
root.querySelector("[data-phone-new]").addEventListener("click", (event) => {
  event.preventDefault();
  showTab("alerts");
  document.getElementById("alert-price").focus();
  document.getElementById("new-alert").scrollIntoView({ block: "nearest" });
});
showTab(open);
