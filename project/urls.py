"""Addresses; each application brings its own."""

from allauth.account import views as account
from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path

from project import pages, proof

# one door, with its limits on guessing; who is signed in and no staff is told so (403)
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

urlpatterns = [
    path("", pages.overview, name="overview"),
    path("", include("realtime.engine.urls")),
    path("", include("realtime.notifications.urls")),
    path("", include("realtime.markets.urls")),
    path("proof/", proof.proof, name="proof"),
    path("proof/committed", proof.committed, name="proof_committed"),
    path("proof/hit/<slug:name>", proof.hit, name="proof_hit"),
    path("proof/ada/<slug:verb>", proof.ada, name="proof_ada"),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    # after the include, whose names they take over: the last one is where links lead
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
]

handler500 = "project.failures.failed"
