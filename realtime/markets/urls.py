"""Addresses of the markets."""

from django.urls import path

from realtime.markets import views

urlpatterns = [
    path("market/", views.markets, name="markets"),
    path("market/<str:symbol>/", views.market, name="market"),
    path("market/<str:symbol>/alerts/", views.set_alert, name="set_alert"),
    path("alerts/<int:alert_id>/<str:verb>/", views.change_alert, name="change_alert"),
]
