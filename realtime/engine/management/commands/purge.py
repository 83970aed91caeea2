"""`manage.py purge`: take out of the log what was published of a row that has been deleted."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from realtime.engine import orders, topics


class Command(BaseCommand):
    help = "Take what was published of a deleted row out of the log, on every topic."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("namespace", help="of the topics, as it is declared")
        parser.add_argument("key", help="the row's key: its `key` in publications")

    def handle(self, *args: Any, **options: Any) -> None:
        namespace, key = options["namespace"], options["key"]
        declared = topics.registry()
        if namespace not in declared:
            raise CommandError(f"no such namespace; there are: {', '.join(sorted(declared))}")
        purged = orders.purge(namespace, key)
        if not purged:
            raise CommandError(
                f'the log has nothing of "{key}" from before a delete: a row that is there is '
                "deleted first, and the relay has to have brought that to the log"
            )
        for topic, count in purged.items():
            self.stdout.write(f"{topic}: {count}")
