from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "realtime.notifications"
    label = "notifications"
