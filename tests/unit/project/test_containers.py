"""The container files agree with the code. (No engine built them here: the README says so.)"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands, load_command_class

ROOT = Path(__file__).resolve().parents[3]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
NGINX = (ROOT / "deploy" / "nginx.conf").read_text()
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "tocsin"}


def test_everything_that_must_run_is_there():
    assert set(SERVICES) == {
        *("postgresql", "redis", "migrate", "web1", "web2", "relay", "relay-standby", "nginx")
    }


def manage(command):
    """`["python", "manage.py", NAME, …]` -> the name and its options."""
    assert command[:2] == ["python", "manage.py"]
    return command[2], [part for part in command[3:] if part.startswith("--")]


@pytest.mark.parametrize("name", OURS)
def test_a_service_runs_a_command_that_exists_with_options_it_has(name):
    command, options = manage(OURS[name]["command"])
    parser = load_command_class(get_commands()[command], command).create_parser("", command)
    known = {option for action in parser._actions for option in action.option_strings}
    assert set(options) <= known


def test_the_command_of_the_image_exists():
    import json  # noqa: PLC0415

    command, _ = manage(json.loads(re.search(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE)[1]))
    assert command == "serve"


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_waits_for_exists_and_can_be_waited_for(name):
    for other, how in SERVICES[name].get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert SERVICES[other]["restart"] == "no"


def test_every_image_of_others_names_its_version():
    images = [s["image"] for s in SERVICES.values() if s["image"] != "tocsin"]
    images += re.findall(r"^FROM (\S+:\S+)", DOCKERFILE, re.MULTILINE)
    assert images
    assert all(re.search(r":\d+(\.\d+)?-?", image) for image in images)


def test_only_nginx_is_reached_from_outside_and_only_from_this_machine():
    published = {name: s["ports"] for name, s in SERVICES.items() if "ports" in s}
    assert list(published) == ["nginx"]
    assert all(port.startswith("127.0.0.1:") for port in published["nginx"])


def test_nginx_knows_every_web_process_and_passes_on_what_is_believed():
    assert set(re.findall(r"server (\S+):8000", NGINX)) == {n for n in SERVICES if "web" in n}
    for header in ("Host $http_host", "X-Forwarded-For $remote_addr", "Upgrade $http_upgrade"):
        assert f"proxy_set_header {header};" in NGINX


def test_nginx_holds_nothing_of_a_live_connection_back_and_logs_no_token_of_it():
    live = NGINX.partition("location /connection/ {")[2].partition("}")[0]
    assert "proxy_buffering off;" in live
    assert "access_log /var/log/nginx/access.log paths;" in live
    assert "error_log /var/log/nginx/error.log crit;" in live
    logged = NGINX.partition("log_format paths ")[2].partition(";")[0]
    assert "$uri" in logged
    assert not re.search(r"\$(request|request_uri|args|query_string|http_referer)\b", logged)


def test_a_web_process_is_given_longer_to_stop_than_its_drain_takes():
    from realtime.engine.conf import settings  # noqa: PLC0415
    from realtime.engine.management.commands.serve import GRACE_S  # noqa: PLC0415

    grace_s = int(SERVICES["web1"]["stop_grace_period"].removesuffix("s"))
    assert grace_s > settings.DRAIN_S + GRACE_S


def test_what_is_copied_and_mounted_exists():
    sources = re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    mounts = [
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if volume.startswith("./")
    ]
    for name in [part for line in sources for part in line.split()] + mounts:
        assert (ROOT / name).exists(), name


def test_no_secret_has_a_default():
    text = (ROOT / "docker-compose.yml").read_text()
    for name in ("SECRET_KEY", "DB_PASSWORD"):
        assert re.search(rf"\${{{name}:\?", text)
        assert not re.search(rf"\${{{name}:-", text)


def test_every_program_knows_the_key_of_tokens():
    for service in OURS.values():
        assert service["environment"]["TOCSIN_TOKEN_SECRETS"] == "${TOCSIN_TOKEN_SECRETS:-}"


def test_the_variables_are_in_the_example():
    asked = set(re.findall(r"\${([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    offered = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert asked - {"PORT"} <= offered


def test_the_dockerfile_pleases_its_linter():
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
