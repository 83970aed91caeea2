"""Which source there is to play from."""

from pathlib import Path

from django.conf import settings

from realtime.markets.feeds.recorded import Recording
from realtime.markets.feeds.seconds import Seconds
from realtime.markets.feeds.source import NoRecording, Source


def find() -> Source:
    """The tick recording where there is one, else the small table of its seconds.

    TOCSIN_RECORDING names the recording's folder; without it the folder shared/data beside the
    checkout is looked at. Raises NoRecording where TOCSIN_RECORDING names a folder without one.
    """
    if settings.TOCSIN_RECORDING:
        try:
            return Recording(Path(settings.TOCSIN_RECORDING))
        except NoRecording as error:
            raise NoRecording(f"TOCSIN_RECORDING: {error}") from error
    try:
        return Recording(Path(settings.BASE_DIR).parent / "shared" / "data")
    except NoRecording:
        return Seconds()
