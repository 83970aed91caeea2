"""The engine's own addresses."""

from django.urls import path

from realtime.engine import views

urlpatterns = [
    path("healthz", views.healthz),
    path("readyz", views.readyz),
    path("metrics", views.metrics),
    path("api/<slug:method>", views.server_api),
    path("connection/websocket", views.upgrade_required),
]
