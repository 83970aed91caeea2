// Figures as people read them. Amounts arrive as decimal text and stay exact: no float is made of them.

const SCALE = 8;

/** "61837.63000000" as a whole number of its last possible digit. */
export function scaled(text) {
  const [whole, fraction = ""] = String(text).split(".");
  return BigInt(whole + fraction.slice(0, SCALE).padEnd(SCALE, "0"));
}

/** A whole number of scaled() with `places` digits after the point, cut, and thousands set apart. */
export function plain(amount, places) {
  const negative = amount < 0n;
  const digits = String(negative ? -amount : amount).padStart(SCALE + 1, "0");
  const whole = digits.slice(0, -SCALE).replace(/\B(?=(\d{3})+$)/g, ",");
  const fraction = digits.slice(-SCALE).slice(0, places);
  return (negative ? "−" : "") + whole + (places ? `.${fraction}` : "");
}

export function amount(text, places) {
  return text === null || text === undefined ? "–" : plain(scaled(text), places);
}

export function distance(one, other) {
  const gap = scaled(one) - scaled(other);
  return gap < 0n ? -gap : gap;
}

/** Change in per cent with sign and arrow, and its direction: nothing where 0.00 % is shown. */
export function change(last, open) {
  if (!last || !open || !Number(open)) return { text: "–", way: "" };
  const hundredths = (distance(last, open) * 20_000n + scaled(open)) / (scaled(open) * 2n); // rounded
  const way = !hundredths ? "" : scaled(last) > scaled(open) ? "up" : "down";
  return { text: `${{ up: "▲ +", down: "▼ −", "": "" }[way]}${plain(hundredths * 1_000_000n, 2)} %`, way };
}

/** "2024-08-08T23:54:15.342000Z" as 23:54:15.342; the recording's times are UTC. */
export function clock(text, length = 12) {
  return text ? text.slice(11, 11 + length) : "";
}

export function ageText(age_ms, at) {
  if (age_ms < 2000) return `${Math.max(0, Math.round(age_ms))} ms`;
  if (age_ms < 60_000) return `${Math.floor(age_ms / 1000)} s old`;
  return `since ${new Date(at).toISOString().slice(11, 19)}`;
}
