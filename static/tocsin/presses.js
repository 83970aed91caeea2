// What was pressed on the proof page, newest on top: what was done, the pause that was felt after
// it, and whether all arrived.

import { say } from "./says.js";
import { clock } from "./times.js";

const KEPT = 50;
const GRACE_MS = 25_000; // for what was killed to start again
const list = document.querySelector("[data-presses]");
const none = document.querySelector("[data-no-presses]");
const template = document.getElementById("press").content.firstElementChild;
const number = new Intl.NumberFormat("en-GB");

export const rows = (count) => `${number.format(count)} ${count === 1 ? "row" : "rows"}`;
export const pause = (ms) => (ms ? (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`) : "–");

class Press {
  constructor(name, watch_ms, before) {
    this.row = template.cloneNode(true);
    this.at = Date.now();
    this.until = this.at + watch_ms;
    this.before = before;
    this.longest = 0;
    this.over = new Promise((resolve) => (this.end = resolve));
    this.put("name", name);
    this.put("result", "Watching.");
    this.put("at", clock(new Date(this.at)));
  }

  put(name, text) {
    const element = this.row.querySelector(`[data-f=${name}]`);
    if (element.textContent !== text) element.textContent = text;
  }

  says(text) {
    this.put("says", text);
  }

  refused(text) {
    this.says(text);
    return this.finish("wait", "Nothing was done.");
  }

  finish(tone, text) {
    this.put("result", text);
    this.row.dataset.tone = tone;
    say(`${this.row.querySelector("[data-f=name]").textContent}: ${text}`);
    this.end();
    this.ended = true;
    return this;
  }
}

/** `sums()`: the books as they are now. */
export function presses(sums) {
  let open = [];

  function result(press, counts) {
    const since = (name) => counts[name] - press.before[name];
    const [came, all, late] = [since("delivered"), since("committed"), since("late")];
    const twice = since("repeated");
    const words = `${number.format(came)} of ${rows(all)} arrived, ${number.format(twice)} twice, ${number.format(late)} late.`;
    return [came + since("gone") < all || twice ? "bad" : "good", words];
  }

  return {
    begin(name, watch_ms) {
      const press = new Press(name, watch_ms, sums());
      none.hidden = true;
      list.prepend(press.row);
      while (list.children.length > KEPT) list.lastElementChild.remove();
      open.push(press);
      return press;
    },
    /** Whether something is broken, as far as one can tell: not all has arrived since a press. */
    broken: () => open.some((press) => !press.own && Date.now() < press.at + GRACE_MS),
    felt(age) {
      for (const press of open) press.longest = Math.max(press.longest, age);
    },
    /** `asked`: when the tables were asked for the last time while the line was whole. */
    draw(asked) {
      open = open.filter((press) => !press.ended);
      if (!open.length) return;
      const counts = sums();
      for (const press of open) {
        press.put("pause", `pause ${pause(press.longest)}`);
        if (press.own) continue; // it ends itself
        const [tone, words] = result(press, counts);
        if (asked > press.until && !counts.waiting) press.finish(tone, words);
        else press.put("result", `Watching. ${words}`);
      }
    },
  };
}
