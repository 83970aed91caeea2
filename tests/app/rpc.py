"""What clients of the tests may call; what tests may declare: `hear` and `greet`."""

import asyncio

from realtime.engine.rpc import RpcError, rpc

heard = []


@rpc("echo")
def echo(call):
    return {"user": call.user.pk, "data": call.data}


@rpc("echo.async")
async def echo_async(call):
    return {"user": call.user.pk, "data": call.data}


@rpc("sold_out")
def sold_out(call):
    raise RpcError(460, "sold out", temporary=True)


@rpc("broken")
def broken(call):
    raise ZeroDivisionError


@rpc("forever")
async def forever(call):
    await asyncio.Event().wait()


def hear(call):
    heard.append((call.user.pk, call.client, call.data))


def greet(call):
    if call.data == {"ask": "name"}:
        return {"name": call.user.get_username()}
    if call.data == {"ask": "too much"}:
        raise RpcError(470, "not today")
    return None


@rpc("say")
def say(call):
    if call.data == "no":
        raise RpcError(444, "not that")
    return {"user": call.user.get_username(), "said": call.data}
