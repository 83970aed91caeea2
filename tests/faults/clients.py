"""Light clients that behave as an SDK does: they come, drop, come back and continue by offset."""

import asyncio
import contextlib
import itertools
import json
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.faults.checker import RESUBSCRIBE, Began, Ended, Heard, Recovered

TERMINAL = 3500
GONE = (ConnectionClosed, InvalidHandshake, OSError, EOFError, TimeoutError)


class Client:
    """`log` is what the checker judges; `lags`: (when it arrived, seconds since it was written).

    `silent_s`: it gives a connection up on which nothing comes for so long.
    """

    def __init__(self, ports, cookie, topics, chance, *, restless=False, silent_s=None):
        self.topics, self.chance, self.restless = topics, chance, restless
        self.log, self.lags, self.positions = [], [], {}
        self.codes, self.connections, self.probe = [], 0, 0
        self.over = False
        self._stopping = asyncio.Event()
        self._ports, self._silent_s = ports, silent_s
        self._cookie = f"sessionid={cookie}"

    def stop(self):
        self._stopping.set()

    async def run(self):
        while not self._stopping.is_set() and not self.over:
            with contextlib.suppress(*GONE):
                await self._visit()
            await self._pause(0.05, 0.4)

    async def _pause(self, least, most):
        """As an SDK waits before it tries again: not all at the same moment."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), self.chance.uniform(least, most))

    async def _visit(self):
        headers = {"Cookie": self._cookie}
        host = f"127.0.0.1:{self.chance.choice(self._ports)}"
        async with connect(
            f"ws://{host}/connection/websocket",
            origin=f"http://{host}",
            additional_headers=headers,
            compression=None,
            ping_interval=None,
            open_timeout=3,
            close_timeout=1,
            max_size=None,
        ) as self._socket:
            self._asked, self._ids = {}, itertools.count(2)
            stopping = asyncio.create_task(self._stopping.wait())
            listening = asyncio.create_task(self._listen())
            try:
                await asyncio.wait(
                    {stopping, listening}, timeout=self._stay(), return_when="FIRST_COMPLETED"
                )
            finally:
                stopping.cancel()
                if not listening.done():
                    # as when a laptop is shut: no goodbye
                    self._socket.transport.abort()
                    listening.cancel()
                await asyncio.gather(stopping, listening, return_exceptions=True)

    def _stay(self):
        return self.chance.expovariate(1 / 2.0) + 0.05 if self.restless else None

    async def _listen(self):
        await self._socket.send('{"id":1,"connect":{}}')
        while True:
            frame = await asyncio.wait_for(self._socket.recv(), self._silent_s)
            arrived = time.time()
            for line in frame.split("\n"):
                await self._take(json.loads(line), arrived)

    async def _take(self, message, arrived):
        if not message:
            await self._socket.send("{}")
        elif message.get("id") == 1:
            if "error" in message:
                await self._socket.close()
                return
            self.connections += 1
            await self._subscribe(self.topics)
        elif "id" in message:
            await self._answered(self._asked.pop(message["id"]), message, arrived)
        else:
            await self._pushed(message["push"], arrived)

    async def _subscribe(self, topics):
        commands = []
        for topic in topics:
            number, position = next(self._ids), self.positions.get(topic)
            self._asked[number] = topic
            since = {} if position is None else {"epoch": position[0], "offset": position[1]}
            request = {"channel": topic, "flag": 1, **since, **({"recover": True} if since else {})}
            commands.append(json.dumps({"id": number, "subscribe": request}))
        await self._socket.send("\n".join(commands))

    async def _again(self, topic):
        """In a task of its own: what else comes is not held up."""
        await self._pause(0.02, 0.2)
        with contextlib.suppress(*GONE):
            await self._subscribe([topic])

    async def _answered(self, topic, message, arrived):
        if error := message.get("error"):
            self.codes.append(error["code"])
            if error.get("temporary"):
                self._task = asyncio.create_task(self._again(topic))
            else:
                self.log.append(Ended(topic, error["code"]))
            return
        reply = message["subscribe"]
        epoch, offset = reply["epoch"], reply.get("offset", 0)
        if reply.get("recovered"):
            missed = [(pub["offset"], pub["data"]) for pub in reply.get("publications", [])]
            self.log.append(Recovered(topic, epoch, offset, missed))
            self.positions[topic] = (epoch, missed[-1][0] if missed else offset)
            for _, data in missed:
                self._note(data, arrived)
            return
        data, asked = reply["data"], topic in self.positions
        told = bool(reply.get("was_recovering"))
        rows, behind = data["rows"], data["publications"]
        self.log.append(
            Began(topic, epoch, offset, rows, data["counts"], behind, asked=asked, told=told)
        )
        self.positions[topic] = (epoch, offset)
        for row in rows:
            self._look(row["body"])
        for data in behind:
            self._look(data.get("body"))

    async def _pushed(self, push, arrived):
        topic = push.get("channel", "")
        if pub := push.get("pub"):
            self.log.append(Heard(topic, pub["offset"], pub["data"]))
            self.positions[topic] = (self.positions[topic][0], pub["offset"])
            self._note(pub["data"], arrived)
        elif ended := push.get("unsubscribe"):
            self.codes.append(ended["code"])
            self.log.append(Ended(topic, ended["code"]))
            if ended["code"] >= RESUBSCRIBE:
                self._task = asyncio.create_task(self._again(topic))
        elif ended := push.get("disconnect"):
            self.codes.append(ended["code"])
            if ended["code"] >= TERMINAL:
                self.over = True
                self.log.append(Ended("", ended["code"]))

    def _note(self, data, arrived):
        self.lags.append((arrived, arrived - data["at"] / 1000))
        self._look(data.get("body"))

    def _look(self, body):
        title = (body or {}).get("title", "")
        if title.startswith("announcements:all|probe "):
            self.probe = max(self.probe, int(title.rpartition(" ")[2]))


@contextlib.asynccontextmanager
async def listening(clients):
    """All of them at work; those that end by an error of their own fail the test."""
    tasks = [asyncio.create_task(client.run()) for client in clients]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for client in clients:
            client.stop()
        await asyncio.gather(*tasks, return_exceptions=True)
