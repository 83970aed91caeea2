// The browser's own rule, for tests in Python: {rows, publications} in, the rows after them out.
import { apply } from "../../static/tocsin/rows.js";

let text = "";
for await (const chunk of process.stdin) text += chunk;
const { rows, publications } = JSON.parse(text);
const after = publications.reduce(apply, new Map(rows.map(({ key, body }) => [key, body])));
process.stdout.write(JSON.stringify([...after].map(([key, body]) => ({ key, body }))));
