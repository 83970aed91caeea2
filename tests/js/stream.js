// The SDK with HTTP streaming alone: one JSON line for each thing it hears, until it has heard enough.
import { Centrifuge as InText } from "../../node_modules/centrifuge/build/index.mjs";
import { Centrifuge as InBytes } from "../../node_modules/centrifuge/build/protobuf/index.mjs";

const { origin, emulation, form, token, topic, count } = JSON.parse(process.argv[2]);
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const Client = form === "protobuf" ? InBytes : InText;
const client = new Client([{ transport: "http_stream", endpoint: `${origin}/connection/http_stream` }], {
  emulationEndpoint: emulation,
  token,
});
let left = count;
client.on("connected", ({ transport }) => say({ connected: transport }));
client.on("disconnected", ({ code }) => (say({ disconnected: code }), process.exit(0)));
const subscription = client.newSubscription(topic);
subscription.on("subscribed", () => say({ subscribed: topic }));
subscription.on("publication", ({ data }) => {
  say({ heard: data instanceof Uint8Array ? JSON.parse(new TextDecoder().decode(data)) : data });
  if (--left === 0) client.disconnect();
});
subscription.subscribe();
client.connect();
