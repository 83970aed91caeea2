"""What is secret is planted, and found in no log, no error page, no health and no metrics page."""

import io
import json
import logging
import logging.config
import secrets

import pytest
import structlog
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client

from project import logs
from realtime.engine import api, conf, keys, state

pytestmark = pytest.mark.django_db(transaction=True)
DATABASE_PASSWORD, REDIS_PASSWORD = secrets.token_urlsafe(20), secrets.token_urlsafe(20)
TYPED = secrets.token_urlsafe(20)


@pytest.fixture(params=[False, True], ids=["production", "readable"])
def log(request):
    """The site's own log, told of the settings' secrets; what it has written."""
    before, handlers, level = (
        structlog.get_config(),
        logging.root.handlers[:],
        logging.root.level,
    )
    stream = io.StringIO()
    known = [django_settings.SECRET_KEY, DATABASE_PASSWORD, REDIS_PASSWORD]
    configured = logs.configured(debug=request.param, level="DEBUG", secrets=known)
    configured["handlers"]["console"]["stream"] = stream
    logging.config.dictConfig(configured)
    yield stream.getvalue
    structlog.configure(**before)
    logging.root.handlers[:], logging.root.level = handlers, level


@pytest.fixture
def planted():
    """A person's client that sends all the credentials there are with each request."""
    person = User.objects.create_superuser("ada", "ada@example.org", TYPED)
    _, key = keys.make("planted", ["publish"])
    with conf.settings.override(TOKEN_SECRETS=secrets.token_urlsafe(40)):
        bearer = api.token(str(person.pk))
    client = Client(
        raise_request_exception=False,
        headers={"X-API-Key": key, "Authorization": f"Bearer {bearer}"},
    )
    client.force_login(person, "django.contrib.auth.backends.ModelBackend")
    client.get("/accounts/password/change/")
    names = ("sessionid", "csrftoken")
    cookies = [client.cookies[name].value for name in names]
    token = client.cookies["csrftoken"].value
    client.secrets = [*cookies, token, bearer, key, TYPED, django_settings.SECRET_KEY]
    client.secrets += [DATABASE_PASSWORD, REDIS_PASSWORD, person.password]
    return client


def wrong(*_, **__):
    """What a failing library might say of where it wanted to go."""
    raise ValueError(
        f"postgres://tocsin:{DATABASE_PASSWORD}@db/x redis://:{REDIS_PASSWORD}@cache "
        f"{django_settings.SECRET_KEY}"
    )


def gone(*_, **__):
    raise OperationalError(f"connection to postgres://tocsin:{DATABASE_PASSWORD}@db/x failed")


def test_a_page_that_fails_says_no_secret_and_logs_none(log, planted, monkeypatch):
    monkeypatch.setattr("django.template.response.TemplateResponse.render", wrong)
    answer = planted.post("/accounts/password/change/", {"oldpassword": TYPED, "password1": TYPED})
    assert answer.status_code == 500
    monkeypatch.setattr("django.template.response.TemplateResponse.render", gone)
    unready = planted.get("/accounts/password/change/")
    assert unready.status_code == 503
    text = log() + answer.content.decode() + unready.content.decode()
    assert "ValueError" in log()
    assert [secret for secret in planted.secrets if secret in text] == []
    assert "Traceback" not in answer.content.decode() + unready.content.decode()


def test_nor_do_pages_that_are_refused_or_not_there(log, planted):
    checked = Client(enforce_csrf_checks=True)
    checked.cookies = planted.cookies
    answers = [
        checked.post(f"/login/?token={TYPED}", {"login": "ada", "password": TYPED}),
        planted.get(f"/nothing/?token={TYPED}"),
        planted.get("/admin/nothing/"),
        planted.get("/login/", HTTP_HOST="evil.example"),
        planted.post("/api/publish", {"password": TYPED}),
        planted.post("/api/nothing", {"password": TYPED}),
        planted.get("/connection/websocket"),
    ]
    assert {answer.status_code for answer in answers} <= {200, 400, 403, 404, 426}
    text = log() + "".join(answer.content.decode() for answer in answers)
    assert "request.finished" in log()
    assert [secret for secret in planted.secrets if secret in text] == []


def test_nor_do_health_and_metrics(log, planted, monkeypatch):
    monkeypatch.setattr(state, "relay", gone)
    answers = [planted.get(path) for path in ("/healthz", "/readyz", "/metrics")]
    assert [answer.status_code for answer in answers] == [200, 503, 200]
    assert json.loads(answers[1].content)["database"] == "down"
    text = log() + "".join(answer.content.decode() for answer in answers)
    assert "database.unreachable" in log()
    assert [secret for secret in planted.secrets if secret in text] == []
    assert "ada" not in "".join(answer.content.decode() for answer in answers), "nor who is there"
