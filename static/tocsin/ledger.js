// The books of the proof page: what the tables hold against what the line brought. Pure: times, in
// milliseconds, come in.

const LATE_MS = 1000;
const LOST_MS = 5000;
const KEPT = 20_000; // rows remembered: a repeat of an older one is not seen

/** The books of one kind of row, whose ids are numbers; `since`: the last id that does not count. */
export class Ledger {
  counts = { committed: 0, delivered: 0, repeated: 0, late: 0, longest: 0, gone: 0 };
  #seen = new Set(); // here
  #due = new Map(); // committed and not here -> when the table first told it
  #lost = new Set();

  constructor(since) {
    this.told = since; // up to here the table has told all
    this.since = since;
  }

  get waiting() {
    return this.#due.size;
  }

  get lost() {
    return this.#lost.size;
  }

  /** Ask the table for the ids behind this one: all that are due, and what is new. */
  get ask() {
    return this.#due.size ? Math.min(...this.#due.keys()) - 1 : this.told;
  }

  /** The line brought the insertion of a row, `age` after it was written. */
  brought(id, age) {
    if (id <= this.since) return;
    if (this.#seen.has(id)) {
      this.counts.repeated += 1;
      return;
    }
    this.counts.longest = Math.max(this.counts.longest, age);
    if (age > LATE_MS) this.counts.late += 1;
    this.#here(id);
  }

  /** A snapshot, in place of what was missed, holds these rows; it says so, and repeats nothing. */
  shown(ids) {
    for (const id of ids) if (id > this.since && !this.#seen.has(id)) this.#here(id);
  }

  #here(id) {
    this.#seen.add(id);
    if (this.#seen.size > KEPT) this.#seen.delete(this.#seen.values().next().value);
    // before the table has told it, it is not counted: then both counts grow at once
    if (this.#due.delete(id) || this.#lost.delete(id)) this.counts.delivered += 1;
  }

  /** What the table answered to `asked`; `more`: it holds yet more. */
  tells(asked, ids, more, now) {
    const held = new Set(ids);
    if (!more) this.#forget([...this.#due.keys()].filter((id) => id > asked && !held.has(id)));
    for (const id of ids) {
      if (id <= this.told) continue;
      this.told = id;
      this.counts.committed += 1;
      if (this.#seen.has(id)) this.counts.delivered += 1;
      else this.#due.set(id, now);
    }
  }

  /** Rows that nobody can be told any more: the recording began anew and cleared them. */
  #forget(ids) {
    for (const id of ids) this.#due.delete(id);
    this.counts.gone += ids.length;
  }

  /** What is due for too long is lost; the time until `calm` does not count. */
  judge(now, calm) {
    for (const [id, told] of this.#due) {
      if (now - Math.max(told, calm) <= LOST_MS) continue;
      this.#due.delete(id);
      this.#lost.add(id);
    }
  }
}

/** The books of all kinds as one. */
export function total(ledgers) {
  const sum = (name) => ledgers.reduce((all, { counts }) => all + counts[name], 0);
  return {
    committed: sum("committed"),
    delivered: sum("delivered"),
    waiting: ledgers.reduce((all, ledger) => all + ledger.waiting, 0),
    lost: ledgers.reduce((all, ledger) => all + ledger.lost, 0),
    repeated: sum("repeated"),
    late: sum("late"),
    gone: sum("gone"),
    longest: Math.max(...ledgers.map(({ counts }) => counts.longest)),
  };
}
