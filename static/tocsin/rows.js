// The rule of every topic with rows: a publication puts its row, or takes it away.

const OPERATIONS = new Set(["i", "u", "d", "o"]);

/** Whether a publication is of a row; any other data is what some program said on the topic. */
export const isChange = (publication) => OPERATIONS.has(publication?.op);

/** The rows (Map of key to body) after `publication`; the given Map is left as it was. */
export function apply(rows, publication) {
  if (!isChange(publication)) return rows;
  const { op, key, body } = publication;
  if (op !== "d" && !body) return rows;
  const next = new Map(rows);
  if (op === "d") next.delete(key);
  else next.set(key, body);
  return next;
}

/** The rows of a snapshot, with the publications that belong to it. */
export function fromSnapshot(data) {
  const rows = new Map(data.rows.map(({ key, body }) => [key, body]));
  return (data.publications ?? []).reduce(apply, rows);
}
