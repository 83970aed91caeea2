"""The ASGI application: pages by Django, live connections by the engine."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
# before any import of a consumer: it loads the applications (channels' own order)
application = get_asgi_application()
