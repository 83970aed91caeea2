"""The project's settings with an app whose tables exist for the tests only, and a quick hasher."""

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.app"]

# the hash of a password is slow on purpose, half a second each; how slow is Django's affair
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
