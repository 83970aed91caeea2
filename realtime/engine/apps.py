from django.apps import AppConfig


class EngineConfig(AppConfig):
    name = "realtime.engine"
    label = "engine"
