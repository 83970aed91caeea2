"""`manage.py asyncapi`: the live topics as a document that other programs read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml
from django.core.management.base import BaseCommand

from realtime.engine import asyncapi, topics
from realtime.engine.conf import VERSION

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class _Plain(yaml.SafeDumper):
    """Says a value twice rather than to refer to it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class Command(BaseCommand):
    help = "Print the live topics and their messages as an AsyncAPI 3.0 document."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="JSON instead of YAML")

    def handle(self, *args: Any, **options: Any) -> None:
        found = asyncapi.document(topics.registry(), VERSION)
        if options["json"]:
            said = json.dumps(found, ensure_ascii=False, indent=2)
        else:
            said = yaml.dump(found, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100)
        self.stdout.write(said.rstrip("\n"))
