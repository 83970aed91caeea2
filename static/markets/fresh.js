// How old each live panel is: set at most once a second, said in words, stale over two seconds.
import { ageText } from "./format.js";
import { put } from "./paint.js";
import { serverNow } from "../tocsin/live.js";

const STALE_MS = 2000;
const newest = new Map();

export function told(panel, at) {
  if (at && at > (newest.get(panel) ?? 0)) newest.set(panel, at);
}

function say() {
  for (const mark of document.querySelectorAll("[data-age]")) {
    const at = newest.get(mark.dataset.age);
    if (!at) continue;
    const age = serverNow() - at;
    put(mark.querySelector("[data-slot=age]"), ageText(age, at));
    mark.classList.toggle("is-stale", age >= STALE_MS);
  }
}
setInterval(say, 1000);
