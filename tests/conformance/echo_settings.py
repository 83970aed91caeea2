"""The project's settings, with the echo beside what `manage.py serve` serves."""

from project.settings import *  # noqa: F403

ASGI_APPLICATION = "tests.conformance.echo.application"
