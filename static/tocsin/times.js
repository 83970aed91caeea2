// Times in words, in the person's zone; the same forms as the served page.

const MINUTE = 60;
const HOUR = 3600;
const part = (at, options) => new Intl.DateTimeFormat("en-GB", options).format(at);
const midnight = (at) => new Date(at.getFullYear(), at.getMonth(), at.getDate());
const daysBefore = (at, now) => Math.round((midnight(now) - midnight(at)) / 86_400_000);

/** `12 s`, `3 min`, `5 h`, then the day within a week, then the date; never in the future. */
export function short(at, now) {
  const age = Math.max(0, Math.floor((now - at) / 1000));
  if (age < MINUTE) return `${age} s`;
  if (age < HOUR) return `${Math.floor(age / MINUTE)} min`;
  if (age < 12 * HOUR) return `${Math.floor(age / HOUR)} h`;
  if (daysBefore(at, now) <= 6) return part(at, { weekday: "short" });
  const date = `${at.getDate()} ${part(at, { month: "short" })}`;
  return at.getFullYear() === now.getFullYear() ? date : `${date} ${at.getFullYear()}`;
}

/** The heading of a day: Today, Yesterday, a weekday, a date. */
export function day(at, now) {
  const days = daysBefore(at, now);
  if (days <= 1) return days === 1 ? "Yesterday" : "Today";
  if (days <= 6) return part(at, { weekday: "long" });
  const date = `${at.getDate()} ${part(at, { month: "long" })}`;
  return at.getFullYear() === now.getFullYear() ? date : `${date} ${at.getFullYear()}`;
}

/** The whole time, with the name of its zone. */
export function full(at) {
  const date = part(at, { weekday: "short", day: "numeric", month: "short", year: "numeric" });
  return `${date}, ${part(at, { timeStyle: "long" })}`;
}

export const clock = (at) => part(at, { timeStyle: "medium" });
