"""Accounts: people are made by admins, so there is no sign-up page."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Of the name alone: allauth's holds the Host header, too, with whatever port it claims.

        Who sends another port each time would have five guesses for each of them.
        """
        key: str = super()._get_login_attempts_cache_key(request, **credentials)
        return key.removeprefix(f"{request.get_host()}:")
