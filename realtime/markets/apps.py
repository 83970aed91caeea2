from django.apps import AppConfig


class MarketsConfig(AppConfig):
    name = "realtime.markets"
    label = "markets"
