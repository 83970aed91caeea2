// A topic's rows, kept by its publications from the position the page was served with.
import { subscribe } from "../tocsin/live.js";
import { fromSnapshot, isChange } from "../tocsin/rows.js";

/** The rule of tocsin/rows.js in place: a copy of the rows for each of a thousand trades is too many. */
export function take(rows, { op, key, body }) {
  if (op === "d") rows.delete(key);
  else if (body) rows.set(key, body);
}

/** `rows`: key to body. `changed` is told the publication, or null when all rows were read anew. */
export function follow({ topic, epoch, offset }, rows, changed) {
  return subscribe(topic, {
    position: epoch ? { epoch, offset } : null,
    onSnapshot(data) {
      if (!data?.rows) return;
      rows.clear();
      for (const [key, body] of fromSnapshot(data)) rows.set(key, body);
      changed(null);
    },
    onPublication(publication) {
      if (!isChange(publication)) return;
      take(rows, publication);
      changed(publication);
    },
  });
}

export function rowsOf(bodies) {
  return new Map(Object.entries(bodies));
}
