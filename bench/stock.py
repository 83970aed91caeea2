"""The peer: what the Channels tutorial gives, a group and a consumer that sends what arrives.

Served by the same Daphne over the same Redis as Tocsin in the same run (`python -m bench`).
BENCH_LAYER is `pubsub` or `core`, the two layers of channels-redis.
"""

import os

import django
from django.conf import settings

if not settings.configured:
    layer = {
        "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "core": "channels_redis.core.RedisChannelLayer",
    }[os.environ.get("BENCH_LAYER", "pubsub")]
    settings.configure(
        DEBUG=False,
        SECRET_KEY="only for measuring",
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=["channels"],
        CHANNEL_LAYERS={
            "default": {"BACKEND": layer, "CONFIG": {"hosts": [os.environ["REDIS_URL"]]}}
        },
    )
    django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import path


class Room(AsyncWebsocketConsumer):
    async def connect(self):
        await self.channel_layer.group_add("room", self.channel_name)
        await self.accept()

    async def disconnect(self, code):  # noqa: ARG002  (Channels' signature)
        await self.channel_layer.group_discard("room", self.channel_name)

    async def room_message(self, event):
        await self.send(text_data=event["text"])


application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter([path("connection/websocket", Room.as_asgi())]),
    }
)
