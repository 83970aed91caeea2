"""Effects are values, so that a test can say what a session should want."""

from realtime.protocol import codes, effects, messages


def test_effects_compare_by_what_they_ask_for():
    assert effects.Leave("inbox:#1") == effects.Leave("inbox:#1")
    assert effects.Close(codes.Disconnect.STALE) != effects.Close(codes.Disconnect.SLOW)
    assert effects.Send(messages.PingPush()) == effects.Send(messages.PingPush())
