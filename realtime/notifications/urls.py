"""Addresses of the inbox."""

from django.urls import path, re_path

from realtime.notifications import views

urlpatterns = [
    path("inbox/", views.inbox, name="inbox"),
    re_path(rf"^inbox/(?P<verb>{'|'.join(views.VERBS)})/$", views.act, name="inbox_act"),
]
