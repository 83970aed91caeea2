// The JavaScript SDK, in both of its builds and on each of its ways to the server of
// `make conformance-server`.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { after, describe, test } from "node:test";
import { Centrifuge as Json } from "centrifuge";
import { Centrifuge as Protobuf } from "centrifuge/build/protobuf";
import { EventSource } from "eventsource";

const SERVER = "localhost:8000";
const API_KEY = "test-api-key";
// of the default namespace, and one that keeps two
const KEPT = "sdk-";
const SMALL = "smallhistory:";

const utf8 = { in: new TextEncoder(), out: new TextDecoder() };
const BUILDS = {
  json: { Centrifuge: Json, pack: (value) => value, unpack: (data) => data },
  protobuf: {
    Centrifuge: Protobuf,
    pack: (value) => utf8.in.encode(JSON.stringify(value)),
    unpack: (data) => JSON.parse(utf8.out.decode(data)),
  },
};
const WAYS = [
  ["json", "websocket"],
  ["protobuf", "websocket"],
  ["json", "http_stream"],
  ["protobuf", "http_stream"],
  ["json", "sse"], // which is text, and so has no other form
];
let count = 0;
const fresh = (prefix) => `${prefix}${process.pid}-${Date.now()}-${(count += 1)}`;

for (const [form, transport] of WAYS) {
  const { Centrifuge, pack, unpack } = BUILDS[form];
  describe(`${form} by ${transport}`, { timeout: 60_000 }, () => {
    const open = [];
    after(() => open.forEach((client) => client.disconnect()));

    function made(options = {}, server = SERVER) {
      const scheme = transport === "websocket" ? "ws" : "http";
      const endpoint = `${scheme}://${server}/connection/${transport}`;
      const emulationEndpoint = `http://${server}/emulation`;
      const all = { emulationEndpoint, eventsource: EventSource, ...options };
      const client = new Centrifuge([{ transport, endpoint }], all);
      open.push(client);
      return client;
    }

    async function connected(options, server) {
      const client = made(options, server);
      const ways = [];
      client.on("connected", (context) => ways.push(context.transport));
      client.connect();
      await client.ready();
      assert.deepEqual(ways, [transport]);
      return client;
    }

    async function subscribed(client, channel, options = {}) {
      const subscription = client.newSubscription(channel, options);
      const heard = listen(subscription);
      subscription.subscribe();
      await subscription.ready();
      return heard;
    }

    function listen(subscription) {
      const heard = { subscription, publications: [], joined: [], left: [], answers: [] };
      subscription.on("publication", (context) => heard.publications.push(context));
      subscription.on("join", (context) => heard.joined.push(context.info.client));
      subscription.on("leave", (context) => heard.left.push(context.info.client));
      subscription.on("subscribed", (context) => heard.answers.push(context));
      return heard;
    }

    const said = (heard) => heard.publications.map((publication) => unpack(publication.data));

    test("what is published is heard and kept, and who publishes is named", async () => {
      const client = await connected();
      const heard = await subscribed(client, fresh(KEPT));
      for (const n of [1, 2, 3]) await heard.subscription.publish(pack({ n, text: "é\u2028" }));
      const expected = [1, 2, 3].map((n) => ({ n, text: "é\u2028" }));
      await until(() => heard.publications.length === 3);
      assert.deepEqual(said(heard), expected);
      assert.equal(heard.publications[0].info.client, client._client);

      const all = await heard.subscription.history({ limit: -1 });
      assert.deepEqual(all.publications.map((one) => unpack(one.data)), expected);
      assert.equal(all.offset, 3);
      const newest = await heard.subscription.history({ limit: 2, reverse: true });
      assert.deepEqual(newest.publications.map((one) => one.offset), [3, 2]);
      const since = { offset: 1, epoch: all.epoch };
      const later = await client.history(heard.subscription.channel, { limit: 1, since });
      assert.deepEqual(later.publications.map((one) => one.offset), [2]);
      const none = await heard.subscription.history();
      assert.deepEqual([none.publications.length, none.offset, none.epoch], [0, 3, all.epoch]);
    });

    test("who is there is known, and who comes and goes is told", async () => {
      const [first, second] = [await connected(), await connected()];
      const channel = fresh(KEPT);
      const heard = await subscribed(first, channel, { joinLeave: true });
      const other = await subscribed(second, channel);
      await until(() => heard.joined.includes(second._client));
      const { clients } = await heard.subscription.presence();
      assert.deepEqual(Object.keys(clients).sort(), [first._client, second._client].sort());
      const stats = await first.presenceStats(channel);
      assert.deepEqual([stats.numClients, stats.numUsers], [2, 1]);
      other.subscription.unsubscribe();
      await until(() => heard.left.includes(second._client));
      assert.deepEqual(Object.keys((await first.presence(channel)).clients), [first._client]);
    });

    test("what was missed comes at the next connection, once and in order", async () => {
      const [reader, writer] = [await connected(), await connected()];
      const heard = await subscribed(reader, fresh(KEPT));
      assert.deepEqual([heard.answers[0].wasRecovering, heard.answers[0].recovered], [false, false]);
      await writer.publish(heard.subscription.channel, pack({ n: 0 }));
      await until(() => heard.publications.length === 1);
      reader.disconnect();
      for (const n of [1, 2, 3]) await writer.publish(heard.subscription.channel, pack({ n }));
      reader.connect();
      await until(() => heard.publications.length === 4);
      assert.deepEqual([heard.answers[1].wasRecovering, heard.answers[1].recovered], [true, true]);
      await writer.publish(heard.subscription.channel, pack({ n: 4 }));
      await until(() => heard.publications.length === 5);
      assert.deepEqual(said(heard), [0, 1, 2, 3, 4].map((n) => ({ n })));
      assert.deepEqual(heard.publications.map((one) => one.offset), [1, 2, 3, 4, 5]);
    });

    test("who is cut off comes back by itself, and hears what it missed", async (context) => {
      const line = await cable();
      context.after(line.end);
      const soon = { minReconnectDelay: 50, maxReconnectDelay: 500 };
      const [reader, writer] = [await connected(soon, line.server), await connected()];
      const heard = await subscribed(reader, fresh(KEPT));
      const codes = [];
      reader.on("connecting", ({ code }) => codes.push(code));
      await writer.publish(heard.subscription.channel, pack({ n: 0 }));
      await until(() => heard.publications.length === 1);
      line.cut();
      await until(() => codes.length > 0);
      for (const n of [1, 2]) await writer.publish(heard.subscription.channel, pack({ n }));
      line.mend();
      await until(() => heard.publications.length === 3);
      await heard.subscription.publish(pack({ n: 3 }));
      await until(() => heard.publications.length === 4);
      assert.deepEqual(said(heard), [0, 1, 2, 3].map((n) => ({ n })));
      assert.deepEqual(heard.answers.map((one) => one.recovered), [false, true]);
      assert.equal(codes[0], 1);
    });

    test("who left a channel goes on in it on the same connection", async () => {
      const client = await connected();
      const heard = await subscribed(client, fresh(KEPT));
      for (const round of [1, 2, 3]) {
        heard.subscription.unsubscribe();
        await client.publish(heard.subscription.channel, pack({ round }));
        heard.subscription.subscribe();
        await until(() => heard.publications.length === round);
        assert.equal(heard.answers[round].recovered, true);
      }
    });

    test("who missed more than is kept is told so", async () => {
      const [reader, writer] = [await connected(), await connected()];
      const heard = await subscribed(reader, fresh(SMALL));
      reader.disconnect();
      for (const n of [1, 2, 3]) await writer.publish(heard.subscription.channel, pack({ n }));
      reader.connect();
      await until(() => heard.answers.length === 2);
      assert.deepEqual([heard.answers[1].wasRecovering, heard.answers[1].recovered], [true, false]);
      assert.equal(heard.answers[1].streamPosition.offset, 3);
      assert.deepEqual(said(heard), []);
    });

    test("an application's state is loaded at first, and again where it cannot go on", async () => {
      const [reader, writer] = [await connected(), await connected()];
      const channel = fresh(SMALL);
      await writer.publish(channel, pack({ n: 1 }));
      const asked = [];
      const getState = async () => {
        const { offset, epoch } = await writer.history(channel, { limit: 0 });
        asked.push(offset);
        return { offset, epoch };
      };
      const heard = await subscribed(reader, channel, { getState, minResubscribeDelay: 50 });
      await writer.publish(channel, pack({ n: 2 }));
      await until(() => heard.publications.length === 1);
      reader.disconnect();
      for (const n of [3, 4, 5, 6]) await writer.publish(channel, pack({ n }));
      reader.connect();
      await until(() => heard.answers.length === 2);
      await writer.publish(channel, pack({ n: 7 }));
      await until(() => heard.publications.length === 2);
      assert.deepEqual(asked, [1, 6]);
      assert.deepEqual(said(heard), [{ n: 2 }, { n: 7 }]);
    });

    test("a state at the very beginning is followed by all that is kept", async () => {
      const client = await connected();
      const channel = fresh(KEPT);
      for (const n of [1, 2, 3]) await client.publish(channel, pack({ n }));
      const getState = async () => ({ offset: 0, epoch: "" });
      const heard = await subscribed(client, channel, { getState });
      await until(() => heard.publications.length === 3);
      assert.deepEqual(said(heard), [1, 2, 3].map((n) => ({ n })));
    });

    test("one publication is whole and the others are differences to it", async () => {
      const client = await connected();
      const heard = await subscribed(client, fresh(KEPT), { delta: "fossil" });
      const state = (n) => ({ n, text: "the same words each time, é, and many of them ".repeat(5) });
      for (const n of [1, 2, 3, 4, 5]) await heard.subscription.publish(pack(state(n)));
      await until(() => heard.publications.length === 5);
      assert.deepEqual(said(heard), [1, 2, 3, 4, 5].map(state));
      const { numFullPayloads, numDeltaPayloads } = heard.subscription.deltaStats();
      assert.deepEqual([numFullPayloads, numDeltaPayloads], [1, 4]);

      client.disconnect();
      const writer = await connected();
      for (const n of [6, 7]) await writer.publish(heard.subscription.channel, pack(state(n)));
      client.connect();
      await until(() => heard.publications.length === 7);
      await writer.publish(heard.subscription.channel, pack(state(8)));
      await until(() => heard.publications.length === 8);
      assert.deepEqual(said(heard), [1, 2, 3, 4, 5, 6, 7, 8].map(state));
      const { publications } = await heard.subscription.history({ limit: -1 });
      assert.deepEqual(publications.map((one) => unpack(one.data)), said(heard));
    });

    test("only what a filter lets through is heard", async () => {
      const [picky, other, any] = [await connected(), await connected(), await connected()];
      const channel = fresh(KEPT);
      const by = (cmp) => ({ tagsFilter: { op: "", key: "lang", cmp } });
      const nothing = await subscribed(picky, channel, by("ex"));
      const untagged = await subscribed(other, channel, by("nex"));
      for (const n of [1, 2]) await any.publish(channel, pack({ n }));
      await until(() => untagged.publications.length === 2);
      nothing.subscription.unsubscribe();
      nothing.subscription.subscribe();
      await until(() => nothing.answers.length === 2);
      assert.deepEqual(said(nothing), []);
    });

    test("a method that nobody answers is not available", async () => {
      const client = await connected();
      await assert.rejects(client.rpc("no such method", pack({})), { code: 108 });
    });

    test("what is asked of a channel that is none is refused", async () => {
      const client = await connected();
      const code = (asked) => asked.then(() => 0, (error) => error.code);
      assert.equal(await code(client.publish("no-such:channel", pack({}))), 102);
      assert.equal(await code(client.history(`${KEPT}a b`, { limit: 1 })), 107);
    });

    test("a token is good though it has expired, and nobody asks for another", async () => {
      const asked = [];
      const getToken = async () => asked.push("token") && "";
      const client = await connected({ token: signed({ sub: "7" }), getToken });
      const channel = fresh(KEPT);
      const token = signed({ sub: "7", channel });
      const heard = await subscribed(client, channel, { token, getToken });
      const { clients } = await heard.subscription.presence();
      assert.equal(clients[client._client].user, "7");
      assert.deepEqual(asked, []);

      const refused = client.newSubscription(fresh(KEPT), { token: "e30.e30.e30" });
      const ended = new Promise((resolve) => refused.on("unsubscribed", resolve));
      refused.subscribe();
      assert.equal((await ended).code, 103);
      assert.equal(client.state, "connected");
    });

    test("a token that nobody signed is the end", async () => {
      const client = made({ token: "e30.e30.e30" });
      const ended = new Promise((resolve) => client.on("disconnected", resolve));
      client.connect();
      assert.equal((await ended).code, 3500);
    });

    test("whom the site sends away stays away", async () => {
      const user = fresh("user-");
      const client = await connected({ token: signed({ sub: user }) });
      const ended = new Promise((resolve) => client.on("disconnected", resolve));
      await asked("disconnect", { user });
      assert.deepEqual(await ended, { code: 3503, reason: "force disconnect" });
      assert.equal(client.state, "disconnected");
    });

    test("who calls a server that does not listen is sent away", async () => {
      const client = await connected();
      const ended = new Promise((resolve) => client.on("disconnected", resolve));
      await client.send(pack({}));
      assert.equal((await ended).code, 3508);
    });
  });
}

// A token of 2018, signed as the suites sign theirs.
function signed(claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({ alg: "HS256" })}.${part({ ...claims, exp: 1_514_764_800 })}`;
  return `${text}.${createHmac("sha256", "secret").update(text).digest("base64url")}`;
}

async function asked(method, body) {
  const headers = { "X-API-Key": API_KEY };
  const options = { method: "POST", headers, body: JSON.stringify(body) };
  const answer = await fetch(`http://${SERVER}/api/${method}`, options);
  assert.deepEqual(await answer.json(), { result: {} });
}

// A line to the server that can be cut, and lets nobody through until it is mended.
async function cable() {
  const [host, port] = SERVER.split(":");
  const ends = new Set();
  let whole = true;
  const hold = (end) => ends.add(end.on("error", () => {}).on("close", () => ends.delete(end)));
  const middle = net.createServer((near) => {
    if (!whole) return near.destroy();
    const far = net.connect(port, host);
    [near, far].forEach(hold);
    return near.pipe(far).pipe(near);
  });
  await once(middle.listen(0, "localhost"), "listening");
  const cut = () => ((whole = false), ends.forEach((end) => end.destroy()));
  const mend = () => (whole = true);
  const end = () => (cut(), middle.close());
  return { server: `localhost:${middle.address().port}`, cut, mend, end };
}

async function until(fact) {
  const end = Date.now() + 15_000;
  while (!fact()) {
    assert.ok(Date.now() < end, `it did not happen: ${fact}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
