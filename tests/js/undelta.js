// What the pages' SDK makes of deltas: a chain of them in, the text after each out.
import { Centrifuge } from "../../static/vendor/centrifuge.js";

let text = "";
for await (const chunk of process.stdin) text += chunk;
const { first, deltas } = JSON.parse(text);
const codec = new Centrifuge("ws://nowhere")._codec;
let base = codec.applyDeltaIfNeeded({ data: first }).newPrevValue;
const after = deltas.map((data) => {
  base = codec.applyDeltaIfNeeded({ data, delta: true }, base).newPrevValue;
  return new TextDecoder().decode(base);
});
process.stdout.write(JSON.stringify(after));
