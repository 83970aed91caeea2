// The page's one live connection: topics, the server's clock, and a state that is never better than
// the truth. "live" means: connected, and nothing of any topic is missing.

import { Centrifuge } from "centrifuge";

const HOPEFUL_MS = 2000; // a lost line is "connecting" for so long, then "offline"
const SIGNED_OUT = new Set([101, 103, 3500, 3503, 3507]);

const SILENT_MS = 30_000; // the server speaks at least every 25 s

let opened = 0; // when the server could first have said what time it is
let heardAt = 0;
const heard = () => (heardAt = Date.now());
const opening = () => (opened = performance.now());

// Each of the three ways tells when it was opened and when it has brought something.
const timed = (Line, opens) =>
  Line &&
  class extends Line {
    constructor(...args) {
      opening();
      super(...args);
      if (opens) this.addEventListener("open", opening);
      this.addEventListener("message", heard);
    }
  };
async function timedFetch(address, options) {
  if (address !== `${http}/connection/http_stream`) return fetch(address, options);
  opening();
  const { body, status, headers } = await fetch(address, options);
  const listening = new TransformStream({
    transform: (chunk, on) => (heard(), on.enqueue(chunk)),
  });
  return new Response(body?.pipeThrough(listening), { status, headers });
}

const http = location.origin;
const ways = [
  { transport: "websocket", endpoint: `${http.replace(/^http/, "ws")}/connection/websocket` },
  { transport: "http_stream", endpoint: `${http}/connection/http_stream` },
  { transport: "sse", endpoint: `${http}/connection/sse` },
];
const client = new Centrifuge(ways, {
  emulationEndpoint: `${http}/emulation`,
  websocket: timed(globalThis.WebSocket, true) ?? null,
  eventsource: timed(globalThis.EventSource, false) ?? null,
  fetch: timedFetch,
  name: "page",
  minReconnectDelay: 200,
});
const topics = new Map(); // topic -> {whole, reached, replayed}
const listeners = { state: new Set(), publication: new Set(), back: new Set(), gone: new Set() };
const clock = { skew: 0, error: null };
const facts = { reconnects: 0, lastAt: null, age: null, lostAt: null, ended: null, wasLive: false };
let state = "connecting";

const tell = (name, ...args) => listeners[name].forEach((listener) => listener(...args));
const on = (name) => (listener) => (listeners[name].add(listener), () => listeners[name].delete(listener));
export const onState = on("state"); // ({state, since, age, topics, reconnects, lastAt, reason})
export const onPublication = on("publication"); // (topic, publication, {age, recovered})
export const onBack = on("back"); // ({missed, reloaded}): live again after an absence
export const onGone = on("gone"); // the session or the right ended
export const serverNow = () => Date.now() + clock.skew;
export const clockError = () => clock.error;
export const isLive = () => state === "live";
export const tryNow = () => (client.disconnect(), client.connect());

function judge() {
  if (facts.ended) return "offline";
  if (!navigator.onLine) return "offline";
  if (client.state === "connected") {
    if (Date.now() - heardAt > SILENT_MS) return "stale";
    if ([...topics.values()].every((topic) => topic.whole)) return "live";
    return facts.wasLive ? "catching" : "connecting";
  }
  return facts.lostAt && Date.now() - facts.lostAt > HOPEFUL_MS ? "offline" : "connecting";
}

function check() {
  const before = state;
  state = judge();
  if (state === "live") {
    if (facts.wasLive && facts.lostAt) {
      const all = [...topics.values()];
      const missed = all.reduce((sum, topic) => sum + topic.replayed, 0);
      tell("back", { missed, reloaded: all.some((topic) => topic.reloaded), since: facts.lostAt });
    }
    topics.forEach((topic) => Object.assign(topic, { replayed: 0, reloaded: false }));
    facts.wasLive = true;
    facts.lostAt = null;
  } else if (before === "live" || !facts.lostAt) {
    facts.lostAt = state === "stale" ? heardAt : Date.now();
    facts.age = null;
  }
  tell("state", { ...facts, state, since: facts.lostAt, topics: topics.size });
}

client.on("connected", ({ data }) => {
  const trip = opened ? performance.now() - opened : 0;
  if (data?.now) {
    clock.skew = Math.round(data.now + trip / 2 - Date.now());
    clock.error = Math.max(1, Math.ceil(trip / 2));
  }
  check();
});
client.on("connecting", ({ code }) => {
  if (code !== 0) facts.reconnects += 1;
  check();
});
client.on("disconnected", ({ code, reason }) => {
  if (code === 0) return check();
  facts.ended = reason;
  check();
  if (SIGNED_OUT.has(code)) tell("gone", reason);
});
addEventListener("offline", check);
addEventListener("online", check);
setInterval(check, 1000);

/**
 * Follow a topic from `position` ({epoch, offset}, of the served page) or from a snapshot.
 * `onSnapshot(data)`: begin anew with these rows; `onPublication(publication, {age, recovered})`.
 */
export function subscribe(topic, { position, onSnapshot, onPublication: take }) {
  const entry = { whole: false, replayed: 0, reloaded: false, replaying: false };
  const since = position?.epoch ? { since: { epoch: position.epoch, offset: position.offset } } : {};
  const subscription = client.newSubscription(topic, since);
  topics.set(topic, entry);
  subscription.on("subscribing", () => {
    entry.whole = false;
    check();
  });
  subscription.on("subscribed", (context) => {
    entry.reloaded = context.wasRecovering && !context.recovered && facts.wasLive;
    entry.replaying = true; // what was missed is given out now, in order, before anything else
    if (!context.recovered) onSnapshot?.(context.data ?? null);
    setTimeout(() => {
      entry.replaying = false;
      entry.whole = subscription.state === "subscribed";
      check();
    });
  });
  subscription.on("publication", ({ data }) => {
    const recovered = entry.replaying;
    if (recovered) entry.replayed += 1;
    const age = data?.at && !recovered ? Math.max(0, serverNow() - data.at) : null;
    facts.lastAt = Date.now();
    if (age !== null) facts.age = age;
    take(data, { age, recovered });
    tell("publication", topic, data, { age, recovered });
  });
  subscription.on("unsubscribed", ({ code, reason }) => {
    if (topics.get(topic) !== entry || code === 0) return;
    topics.delete(topic);
    check();
    if (SIGNED_OUT.has(code)) tell("gone", reason, topic);
  });
  subscription.subscribe();
  client.connect();
  return {
    stop() {
      topics.delete(topic);
      subscription.unsubscribe();
      client.removeSubscription(subscription);
      check();
    },
  };
}
