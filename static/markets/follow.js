// A topic's rows, kept by its publications from the position the page was served with.
import { subscribe } from "../tocsin/live.js";
import { apply } from "../tocsin/rows.js";

/** `rows`: key to body. `changed` is told the publication, or null when all rows were read anew. */
export function follow({ topic, epoch, offset }, rows, changed) {
  return subscribe(topic, {
    position: epoch ? { epoch, offset } : null,
    onSnapshot(data) {
      rows.clear();
      for (const row of data.rows) rows.set(row.key, row.body);
      for (const publication of data.publications ?? []) apply(rows, publication);
      changed(null);
    },
    onPublication(publication) {
      apply(rows, publication);
      changed(publication);
    },
  });
}

export function rowsOf(bodies) {
  return new Map(Object.entries(bodies));
}
