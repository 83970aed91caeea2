"""The hub's doors to the world are the real ones, and its measures are the settings."""

from dataclasses import fields

import pytest

from realtime.engine import doors
from realtime.engine.conf import SETTINGS, settings
from realtime.engine.doors import Tuning


async def test_every_door_leads_somewhere():
    real = doors.real()
    for door in fields(real):
        assert getattr(real, door.name) is not None


@pytest.mark.parametrize(
    ("setting", "measure"),
    [
        ("RING_SIZE", "ring_size"),
        ("MISSED_BYTES", "missed_bytes"),
        ("RING_BYTES", "ring_bytes"),
        ("HOLD_S", "hold_s"),
        ("PENDING_WAIT_S", "pending_wait_s"),
        ("PENDING_MAX", "pending_max"),
        ("HEAD_POLL_S", "poll_s"),
        ("HEAD_POLL_DEGRADED_S", "poll_degraded_s"),
        ("RECHECK_S", "recheck_s"),
        ("LINGER_S", "linger_s"),
    ],
)
def test_a_setting_is_a_measure_of_the_hub(setting, measure):
    with settings.override(**{setting: 7}):
        assert getattr(doors.tuning(), measure) == 7


def test_without_settings_the_measures_are_their_defaults():
    defaults = {setting.name: setting.default for setting in SETTINGS}
    assert Tuning().ring_size == defaults["RING_SIZE"]
    assert doors.tuning() == Tuning()
