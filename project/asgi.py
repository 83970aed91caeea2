"""The ASGI application: pages by Django, live connections by the engine."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
# before any import of a consumer: it loads the applications (channels' own order)
pages = get_asgi_application()

from channels.routing import ProtocolTypeRouter  # noqa: E402

from realtime import routing  # noqa: E402

application = ProtocolTypeRouter({"http": routing.http(pages), "websocket": routing.websocket})
