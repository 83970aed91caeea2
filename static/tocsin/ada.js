// Ada's right, taken for a while: a second line listens as Ada, and nothing that is committed for her
// without it may arrive.

import { Centrifuge } from "centrifuge";

import { fromSnapshot } from "./rows.js";

const WRITE_MS = 2000;
const PATIENCE_MS = 15_000;
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(fact) {
  const end = Date.now() + PATIENCE_MS;
  while (!fact() && Date.now() < end) await wait(20);
  return fact();
}

export function revocation({ page, form, line, post, log }) {
  const here = new Set(); // the rows that her line brought
  const button = form.querySelector("button");
  let cutAt = null;

  // --- Her line

  const client = new Centrifuge(`${location.origin.replace(/^http/, "ws")}/connection/websocket`, {
    getToken: async () => (await tell("token")).token,
    minReconnectDelay: 200,
    name: "ada",
  });
  const inbox = client.newSubscription(`inbox:#${page.ada}`);
  inbox.on("publication", ({ data }) => data?.op === "i" && here.add(data.key));
  inbox.on("subscribed", ({ data }) => data && fromSnapshot(data).forEach((_, key) => here.add(key)));
  client.on("disconnected", ({ code }) => (cutAt = code ? Date.now() : null));
  const show = () => (line.textContent = `Her line: ${inbox.state === "subscribed" ? "open" : client.state}.`);
  for (const state of ["connected", "connecting", "disconnected"]) client.on(state, show);
  for (const state of ["subscribed", "subscribing", "unsubscribed"]) inbox.on(state, show);
  const open = () => (client.connect(), inbox.subscribe());
  open();

  // --- What is done to her

  async function tell(verb) {
    const answer = await post(form, `/proof/ada/${verb}`);
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    return answer.json();
  }
  /** Something is written for her, with a verb before it; answers its key. */
  async function written(verb) {
    for (let tries = 0; ; tries += 1) {
      try {
        return String((await tell(verb)).id);
      } catch (error) {
        if (tries === 10) throw error;
        await wait(1000); // the sockets may have been dropped meanwhile
      }
    }
  }

  async function revoke(entry) {
    const before = await written("begin");
    if (!(await until(() => here.has(before)))) {
      return entry.finish("bad", "What was written for her while she had her right did not arrive.");
    }
    const at = Date.now();
    const without = [await written("take")];
    entry.says("Her account is deactivated, and then something is written for her every 2 s.");
    while (Date.now() - at < page.taken_s * 1000 - WRITE_MS) {
      entry.put("result", `Written without her right: ${without.length}. Arrived: ${without.filter((key) => here.has(key)).length}.`);
      await wait(WRITE_MS);
      without.push(await written("write"));
    }
    await wait(WRITE_MS);
    const leaked = without.filter((key) => here.has(key)).length;
    const cut = cutAt ? `Her line was cut ${cutAt - at} ms after the press.` : "Her line was not cut.";
    const after = await written("give");
    open();
    const back = await until(() => [...without, after].every((key) => here.has(key)));
    const then = back ? "With her right back, all of them came." : "With her right back, not all of them came.";
    const words = `Written without her right: ${without.length}. Arrived: ${leaked}. ${cut} ${then}`;
    return entry.finish(leaked || !back || !cutAt ? "bad" : "good", words);
  }

  async function giveBack(entry) {
    await written("give");
    return entry.finish("good", "Her account is active.");
  }

  return {
    /** Found so in the table: a page that was closed too soon may have left her without. */
    active(is) {
      if (button.ariaDisabled === "true") return;
      button.textContent = is ? "Revoke Ada" : "Give it back";
      if (is && client.state === "disconnected") open();
    },
    async press() {
      const back = button.textContent === "Give it back";
      const entry = log.begin(back ? "Ada’s right given back" : "Ada revoked", 0);
      entry.own = true;
      try {
        return await (back ? giveBack(entry) : revoke(entry));
      } catch (error) {
        return entry.finish("bad", `It could not be carried through: ${error.message}.`);
      }
    },
  };
}
