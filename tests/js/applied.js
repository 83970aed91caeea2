// The browser's own rule for many readers at once: [{rows, publications}] in, their rows after out.
import { apply } from "../../static/tocsin/rows.js";

let text = "";
for await (const chunk of process.stdin) text += chunk;
const after = ({ rows, publications }) =>
  Object.fromEntries(publications.reduce(apply, new Map(rows.map(({ key, body }) => [key, body]))));
process.stdout.write(JSON.stringify(JSON.parse(text).map(after)));
