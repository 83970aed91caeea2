"""Settings, from the environment; with DEBUG off an insecure or missing value stops the start."""

import logging
import os
from pathlib import Path
from urllib.parse import urlsplit

import environ
from csp.constants import NONCE
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from project import environment, logs, production, theme

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environment.load(BASE_DIR / ".env")

DEBUG = environment.switch(env, "DEBUG")
SECRET_KEY = env.str("SECRET_KEY", default="")
if DEBUG and not SECRET_KEY:
    SECRET_KEY = environment.own_key(BASE_DIR / "var")
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"] if DEBUG else []
)
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# only to try a production set-up on one's own machine, without a certificate
PLAIN_HTTP = environment.switch(env, "PLAIN_HTTP")
if not DEBUG:
    production.demand(os.environ, SECRET_KEY, ALLOWED_HOSTS, plain_http=PLAIN_HTTP)

INSTALLED_APPS = [
    "daphne",
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "channels",
    "csp",
    "django_structlog",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "realtime.engine",
    "realtime.notifications",
    "realtime.markets",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "project.middleware.zone",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "project.middleware.admin_policy",
    "allauth.account.middleware.AccountMiddleware",
    "project.middleware.missing",
    "django_structlog.middlewares.RequestMiddleware",
    "project.second_factor.demand",
]

ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "project.context.frame",
            ],
            "builtins": ["project.icons"],
        },
    },
]

DATABASES = {
    "default": {
        **environment.database(env, f"sqlite:///{BASE_DIR}/var/tocsin.sqlite3"),
        "CONN_MAX_AGE": 60,  # on SQLite, too: opening reads all triggers, 20 ms
        "CONN_HEALTH_CHECKS": True,
    }
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    # a machine that is gone says nothing: TCP would wait a quarter of an hour, or for ever
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 5,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": 10_000,
        **DATABASES["default"].get("OPTIONS", {}),
    }
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # IMMEDIATE: writers queue for the lock instead of failing in the middle; recursive triggers:
    # REPLACE fires the delete trigger of the row it evicts.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA recursive_triggers=ON;"
        ),
    }
    DATABASES["default"]["TEST"] = {"NAME": f"{DATABASES['default']['NAME']}.test"}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# the default is the Redis of a `make run` in this checkout
REDIS_URL = environment.redis(env, f"unix://{BASE_DIR}/var/redis/redis.sock?db=0")
CACHES = {
    "default": {"BACKEND": "project.cache.Cache", "LOCATION": REDIS_URL, "KEY_PREFIX": "tocsin"}
}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        # Redis is a wake-up, never in the way: no retries, short time-outs
        "CONFIG": {
            "hosts": [
                {
                    "address": REDIS_URL,
                    "socket_connect_timeout": 0.5,
                    "retry": Retry(NoBackoff(), 0),
                }
            ],
            "prefix": "tocsin",
        },
    }
}

AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_ADAPTER = "project.accounts.AccountAdapter"
MFA_TOTP_ISSUER = "Tocsin"
# nobody signs up here under the address of another: admins make people and their addresses
MFA_ALLOW_UNVERIFIED_EMAIL = True
TOCSIN_ADMIN_MFA = environment.switch(env, "TOCSIN_ADMIN_MFA")
globals().update(
    environment.mail(env, default="consolemail://" if DEBUG else "smtp://localhost:25")
)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="tocsin@localhost")
HTTPS = not DEBUG and not PLAIN_HTTP
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|metrics)$"]  # asked from inside, without TLS
SESSION_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
FORMAT_MODULE_PATH = ["project.formats"]

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "project.storage.Storage"
    },
}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'", NONCE],
        "style-src": ["'self'"],
        "connect-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

LOGGING = logs.configured(
    debug=DEBUG,
    level=environment.log_level(env),
    secrets=[
        SECRET_KEY,
        DATABASES["default"].get("PASSWORD") or "",
        urlsplit(REDIS_URL).password or "",
        *map(str.strip, os.environ.get("TOCSIN_TOKEN_SECRETS", "").split(",")),
    ],
)
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = logging.DEBUG
DJANGO_STRUCTLOG_STATUS_4XX_LOG_LEVEL = logging.INFO

TOCSIN_RECORDING = env.str("TOCSIN_RECORDING", default="")

UNFOLD = theme.UNFOLD
