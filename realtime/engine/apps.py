from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class EngineConfig(AppConfig):
    name = "realtime.engine"
    label = "engine"
    verbose_name = "Live topics"

    def ready(self) -> None:
        autodiscover_modules("topics")
