"""Install, remove or look at the triggers that capture changes."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from realtime.engine import topics, triggers


class Command(BaseCommand):
    help = "Install, remove or check the triggers that capture the changes of live topics."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=("install", "uninstall", "check"))
        parser.add_argument("--database", default="default")
        parser.add_argument(
            "--backfill",
            nargs="*",
            metavar="NAMESPACE",
            help="with install: begin these `Latest` namespaces anew from their rows (none: all)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        database = options["database"]
        match options["action"]:
            case "install":
                found = triggers.install(database, self._namespaces(options["backfill"]))
                self.stdout.write("\n".join(found) or "All triggers were there.")
            case "uninstall":
                count = triggers.uninstall(database)
                self.stdout.write(
                    f"{count} triggers removed: no change is captured until "
                    "`manage.py triggers install` or the next migrate."
                )
            case _:
                if found := triggers.missing(database):
                    raise CommandError("\n".join((*found, "Run `manage.py triggers install`.")))
                self.stdout.write("All triggers are there.")

    def _namespaces(self, asked: list[str] | None) -> list[str]:
        if asked is None:
            return []
        latest = [name for name, topic in topics.registry().items() if topics.is_latest(topic)]
        if unknown := set(asked) - set(latest):
            raise CommandError(
                f"no `Latest` namespace: {', '.join(sorted(unknown))}; there are: "
                f"{', '.join(sorted(latest)) or 'none'}"
            )
        return asked or latest
