"""`manage.py relay`: numbers committed changes, wakes the hubs; one leads, others stand by."""

import asyncio
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from prometheus_client import start_http_server

from realtime.engine.broker import Broker
from realtime.engine.conf import settings
from realtime.engine.leader import watchdog
from realtime.engine.relay import Relay, leader_for_database
from realtime.engine.witness import Witness


class Command(BaseCommand):
    help = "Numbers every committed change and wakes the hubs. Start two: one leads, one stands by."
    # a relay that was killed is back the sooner; `migrate` and `check` have looked before it
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--new-epoch",
            action="store_true",
            help="After a restore: begin every log anew, so that all clients reload once.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        asyncio.run(_run(new_epoch=options["new_epoch"]))


async def _run(*, new_epoch: bool) -> None:
    relay = Relay(
        leader_for_database(), Broker(), Witness(), new_epoch=new_epoch, watch=watchdog.watch
    )
    relay.stop_on_signals()
    if settings.RELAY_METRICS_PORT:
        start_http_server(settings.RELAY_METRICS_PORT, addr="127.0.0.1")
    await relay.run()
