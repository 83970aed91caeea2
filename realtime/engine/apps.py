from typing import Any

from django.apps import AppConfig
from django.core.checks import Tags, register
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
        register(environment.database, Tags.database)
        autodiscover_modules("topics")
        triggers.keep_over_rebuild()
        pre_migrate.connect(_before, sender=self, dispatch_uid="tocsin.triggers")
        post_migrate.connect(_after, sender=self, dispatch_uid="tocsin.triggers")


def _before(using: str, plan: Any = (), **_: Any) -> None:
    from realtime.engine import triggers  # noqa: PLC0415

    triggers.before_migrate(using, plan)


def _after(using: str, **_: Any) -> None:
    from realtime.engine import triggers  # noqa: PLC0415

    triggers.after_migrate(using)
