"""Which links may be followed."""

import pytest
from django.core.exceptions import ValidationError

from realtime.notifications.models import Announcement, Notification, validate_url

SAFE = ["/", "/market/BTCUSDT/?a=1#b", "https://example.org", "http://example.org:8000/a"]
UNSAFE = [
    "javascript:alert(1)",
    " https://example.org",
    "//evil.example",
    "/\\evil.example",
    "/\tevil",
    "data:text/html,x",
    "ftp://example.org",
    "https:evil",
    "https://[evil",
    "market/",
    "http://",
]


@pytest.mark.parametrize("url", ["", *SAFE])
def test_a_safe_url_is_a_link(url):
    validate_url(url)
    assert Notification(url=url).link == Announcement(url=url).link == url


@pytest.mark.parametrize("url", UNSAFE)
def test_any_other_is_refused_and_never_a_link(url):
    with pytest.raises(ValidationError):
        validate_url(url)
    assert Notification(url=url).link == ""
