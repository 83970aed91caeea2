"""Many clients in one process, which check what they hear instead of keeping it."""

import asyncio
import json
import re
import time

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password

from bench.sockets import connect
from tests.realtime import sign_in

OFFSET = re.compile(rb'"offset":(\d+)')
CODE = re.compile(rb'"disconnect":\{"code":(\d+)')
NEVER_AGAIN = 3500
PATH, SUBSCRIBE = "/connection/websocket", 2


def people(count):
    """So many users, signed in; gives the keys of their sessions."""
    user = get_user_model()
    password = make_password("crowd")
    made = user.objects.bulk_create(
        user(username=f"crowd{number}", password=password) for number in range(count)
    )
    return [sign_in(one) for one in made]


class Client:
    """Connects, continues a topic from a position, and follows it.

    `offset`: all up to it was heard, in order and once; `wrong` says what else came. `code`: of the
    disconnect push, heard at `told_at`; `again`: those of coming in vain. `receive_bytes`: as in
    `connect`.
    """

    def __init__(self, port, key, topic, position, *, receive_bytes=0):
        self.port, self.key, self.topic = port, key, topic
        self.epoch, self.offset = position
        self.code, self.wrong, self.subscribed, self.told_at = 0, "", False, 0.0
        self.again = []
        self._receive_bytes = receive_bytes

    async def come(self):
        self.socket = await connect(
            self.port,
            PATH,
            self._hear,
            cookie=f"{settings.SESSION_COOKIE_NAME}={self.key}",
            receive_bytes=self._receive_bytes,
        )
        since = {"recover": True, "epoch": self.epoch, "offset": self.offset}
        self._say(id=1, connect={})
        self._say(id=SUBSCRIBE, subscribe={"channel": self.topic, **since})

    def _say(self, **command):
        self.socket.send(json.dumps(command).encode())

    @property
    def trouble(self):
        cut = "cut" if self.socket.closed else ""
        return self.wrong or self.code or cut

    @property
    def done(self):
        return self.subscribed or self.trouble

    def stop_reading(self):
        self.socket.transport.pause_reading()

    def close(self):
        self.socket.transport.abort()

    def _hear(self, socket, text, _):
        if text == b"{}":
            socket.send(b"{}")
            return
        for line in text.split(b"\n"):
            if found := CODE.search(line):
                self.code, self.told_at = int(found[1]), time.monotonic()
            elif b'"error"' in line:
                self.wrong = self.wrong or line[:200].decode()
            elif line.startswith(b'{"id":%d,' % SUBSCRIBE):
                # behind it comes the position once more
                missed, recovered, _ = line.partition(b'"recovered":true')
                self._take(missed)
                self.subscribed = True
                if not recovered:
                    self.wrong = self.wrong or f"not recovered: {line[:200]}"
            elif b'"pub"' in line:
                self._take(line)

    def _take(self, line):
        for found in OFFSET.finditer(line):
            offset = int(found[1])
            if offset != self.offset + 1:
                self.wrong = self.wrong or f"{offset} after {self.offset}"
            self.offset = offset

    async def stay(self, chance):
        """Come until it is subscribed, as clients do: sent away for now, it is back in a while."""
        await asyncio.sleep(chance.uniform(0, 1))
        while not await self._comes():
            self.again.append(self.code)
            self.code = 0
            await asyncio.sleep(chance.uniform(0.5, 2))

    async def _comes(self):
        try:
            await self.come()
        except ConnectionError:
            return False
        while not self.done:  # noqa: ASYNC110  (a line that was cut tells nobody)
            await asyncio.sleep(0.05)
        assert self.code < NEVER_AGAIN, self.code
        return self.subscribed and not self.trouble


async def come(clients, within_s):
    """All of them, spread over that time."""

    async def one(number, client):
        await asyncio.sleep(within_s * number / len(clients))
        await client.come()

    await asyncio.gather(*(one(number, client) for number, client in enumerate(clients)))
