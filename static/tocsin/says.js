// The page's one polite live region: what happened, summed up, at most every five seconds.

const EVERY_MS = 5000;
const region = document.querySelector("[data-says]");
let waiting = [];
let timer = null;

/** Say it, at once or together with what else comes within five seconds. */
export function say(words) {
  waiting.push(words);
  if (timer === null) speak();
}

function speak() {
  timer = null;
  if (!waiting.length || !region) return;
  const counts = new Map();
  for (const words of waiting) counts.set(words, (counts.get(words) ?? 0) + 1);
  region.textContent = [...counts].map(([words, n]) => (n > 1 ? `${words} (${n} times)` : words)).join(". ");
  waiting = [];
  timer = setTimeout(speak, EVERY_MS);
}
