// The chart: candles of one second or one minute, the person's alerts in it, colours by the tokens.
import {
  CandlestickSeries, HistogramSeries, LineStyle, createChart, createSeriesMarkers,
} from "lightweight-charts";
import { bars } from "./candles.js";
import { amount } from "./format.js";

const KEPT = 4000;
const faint = (colour) => colour.replace("rgb(", "rgba(").replace(")", ", 0.4)");

/** A token's colour in a form that the canvas takes; the tokens are light-dark() pairs. */
function colours(root) {
  const probe = document.createElement("i");
  root.append(probe);
  const tint = (name) => {
    probe.style.setProperty("color", `var(--${name})`);
    return getComputedStyle(probe).color;
  };
  const names = ["surface", "line", "ink", "ink3", "accent", "brass", "up", "down"];
  const found = Object.fromEntries(names.map((name) => [name, tint(name)]));
  probe.remove();
  return found;
}

export function chart(root, candles, known, legend) {
  const style = getComputedStyle(document.body);
  const drawing = createChart(root, {
    autoSize: true,
    layout: { attributionLogo: false, fontFamily: style.fontFamily, fontSize: 11 },
    timeScale: { timeVisible: true, secondsVisible: true, borderVisible: false, rightOffset: 4 },
    rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.08, bottom: 0.22 } },
    crosshair: { mode: 0 },
    localization: { priceFormatter: (price) => amount(price.toFixed(8), known.pricePlaces) },
  });
  const series = drawing.addSeries(CandlestickSeries, { borderVisible: false });
  const volume = drawing.addSeries(HistogramSeries, {
    priceScaleId: "", lastValueVisible: false, priceLineVisible: false,
  });
  volume.priceScale().applyOptions({ scaleMargins: { top: 0.86, bottom: 0 } });
  const markers = createSeriesMarkers(series, []);
  let tint = colours(root);
  let step = 1;
  let drawn = [];
  let lines = [];
  let wishes = [];
  let stale = true;

  function paintColours() {
    tint = colours(root);
    drawing.applyOptions({
      layout: { background: { color: tint.surface }, textColor: tint.ink3 },
      grid: { vertLines: { visible: false }, horzLines: { color: tint.line } },
    });
    series.applyOptions({ upColor: tint.up, downColor: tint.down, wickUpColor: tint.up, wickDownColor: tint.down, priceLineColor: tint.ink3 });
    stale = true;
    draw();
    marks(wishes);
  }

  const column = (bar) => ({ time: bar.time, value: bar.volume, color: faint(bar.close >= bar.open ? tint.up : tint.down) });
  const same = (one, other) => one && one.close === other.close && one.high === other.high && one.low === other.low && one.volume === other.volume;

  function draw() {
    const fresh = bars(candles, step);
    const shared = !stale && drawn.length && fresh.length >= drawn.length && fresh[0]?.time === drawn[0].time;
    if (!shared) {
      series.setData(fresh);
      volume.setData(fresh.map(column));
      if (stale) fit(fresh.length);
    } else {
      const from = Math.max(0, drawn.length - 2);
      for (let place = from; place < fresh.length; place += 1) {
        if (same(drawn[place], fresh[place])) continue;
        series.update(fresh[place]);
        volume.update(column(fresh[place]));
      }
    }
    stale = false;
    drawn = fresh;
    say(fresh.at(-1));
    for (const key of [...candles.keys()].slice(0, Math.max(0, candles.size - KEPT))) candles.delete(key);
  }

  function fit(count) {
    const wide = step === 1 ? Math.max(60, Math.floor(root.clientWidth / 6)) : 30;
    drawing.timeScale().setVisibleLogicalRange({ from: count - wide, to: count + 3 });
  }

  function say(bar) {
    if (!bar) return;
    const price = (value) => amount(value.toFixed(8), known.pricePlaces);
    legend.replaceChildren(
      ...["open", "high", "low", "close"].flatMap((name) => {
        const value = document.createElement("b");
        value.textContent = price(bar[name]);
        return [`${name[0].toUpperCase()}${name.slice(1)} `, value, "  "];
      }),
    );
  }

  /** Armed alerts as dashed lines, fired ones as an arrow at their second. */
  function marks(entries) {
    wishes = entries;
    for (const line of lines) series.removePriceLine(line);
    const alive = entries.filter(([, body]) => body.state === "armed");
    lines = alive.map(([, body]) =>
      series.createPriceLine({ price: Number(body.price), color: tint.accent, lineStyle: LineStyle.Dashed, lineWidth: 1, title: "alert", axisLabelVisible: true }),
    );
    const fired = entries.filter(([, body]) => body.fired_at);
    const arrows = fired.map(([, body]) => ({
      time: Math.floor(Date.parse(body.fired_at) / 1000 / step) * step,
      position: body.direction === "up" ? "belowBar" : "aboveBar",
      shape: body.direction === "up" ? "arrowUp" : "arrowDown",
      color: tint.brass,
      text: `${body.direction === "up" ? "above" : "below"} ${amount(body.price, known.pricePlaces)}`,
    }));
    markers.setMarkers(arrows.sort((one, other) => one.time - other.time));
  }

  document.documentElement.addEventListener("themechange", paintColours);
  paintColours();
  return {
    draw,
    marks,
    interval(seconds) {
      step = seconds;
      stale = true;
      drawing.applyOptions({ timeScale: { secondsVisible: seconds === 1 } });
      draw();
      marks(wishes);
    },
    show(at) {
      const place = drawn.findIndex((bar) => bar.time >= Math.floor(at / step) * step);
      if (place >= 0) drawing.timeScale().setVisibleLogicalRange({ from: place - 60, to: place + 60 });
    },
    onPrice(take) {
      drawing.subscribeClick((event) => {
        const price = event.point && series.coordinateToPrice(event.point.y);
        if (price) take(price);
      });
    },
  };
}
