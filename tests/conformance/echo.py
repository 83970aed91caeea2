"""The project's application and, at /echo, one that says all it hears: foreign suites want that."""

from project.asgi import application as project

PATH = "/echo"


async def application(scope, receive, send):
    if scope["type"] != "websocket" or scope["path"] != PATH:
        await project(scope, receive, send)
        return
    while (message := await receive())["type"] != "websocket.disconnect":
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        else:
            await send({**message, "type": "websocket.send"})
