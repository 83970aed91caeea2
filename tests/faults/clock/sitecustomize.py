"""Python runs this before a program: its clock goes, but it is TOCSIN_CLOCK_S ahead."""

import datetime as dt
import os

import time_machine

_travel = time_machine.travel(
    dt.datetime.now(dt.UTC) + dt.timedelta(seconds=float(os.environ["TOCSIN_CLOCK_S"])), tick=True
)
_travel.start()
