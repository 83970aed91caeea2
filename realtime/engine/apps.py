from functools import partial
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Tags, register
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate, pre_migrate
from django.utils.module_loading import autodiscover_modules


class EngineConfig(AppConfig):
    name = "realtime.engine"
    label = "engine"
    verbose_name = "Live topics"

    def ready(self) -> None:
        # models are not ready before
        from realtime.engine import checks, environment, triggers  # noqa: PLC0415

        register(checks.declarations, "tocsin")
        register(environment.project, "tocsin")
        register(environment.tokens, Tags.security)
        register(_database, Tags.database)
        autodiscover_modules("topics", "rpc")
        triggers.keep_over_rebuild()
        connection_created.connect(_read_any_text, dispatch_uid="tocsin.text")
        pre_migrate.connect(_before, sender=self, dispatch_uid="tocsin.triggers")
        post_migrate.connect(_after, sender=self, dispatch_uid="tocsin.triggers")


def _database(**options: Any) -> list[CheckMessage]:
    """No trigger can be generated from a wrong declaration; that one is told by itself."""
    from realtime.engine import checks, environment  # noqa: PLC0415

    if any(fault.is_serious() for fault in checks.declarations()):
        return []
    return environment.database(**options)


def _read_any_text(connection: Any, **_: Any) -> None:
    """SQLite keeps text that is no UTF-8, as foreign programs write it: it must stop no reader."""
    if connection.vendor == "sqlite":
        connection.connection.text_factory = partial(str, encoding="utf-8", errors="replace")


def _before(using: str, plan: Any = (), **_: Any) -> None:
    from realtime.engine import triggers  # noqa: PLC0415

    triggers.before_migrate(using, plan)


def _after(using: str, **_: Any) -> None:
    from realtime.engine import triggers  # noqa: PLC0415

    triggers.after_migrate(using)
