"""The namespaces that foreign suites expect: whoever connects may do everything in them."""

from realtime.engine.topics import History, Topic, live

FIVE_MINUTES = 300 / 86_400


class Anything(Topic):
    """Any name of a namespace, for anybody, signed in or not."""

    anonymous = True

    def allows(self, user, **names):
        return True

    def allows_publish(self, user, **names):
        return True


@live
class Default(Anything):
    namespace = ""
    # "#42" is for user 42 alone, and its own
    name = ["{channel}", "#{users}"]
    history = History(size=100, days=FIVE_MINUTES)
    presence = True
    join_leave = "always"
    deltas = True


@live
class Example(Anything):
    namespace = "example"
    name = "example:{channel}"
    history = History(size=300, days=FIVE_MINUTES)
    presence = True
    join_leave = "always"


@live
class Recovery(Anything):
    namespace = "recovery"
    name = "recovery:{channel}"
    history = History(size=100, days=FIVE_MINUTES)


@live
class SmallHistory(Anything):
    namespace = "smallhistory"
    name = "smallhistory:{channel}"
    history = History(size=2, days=FIVE_MINUTES)


@live
class Delta(Anything):
    namespace = "delta"
    name = "delta:{channel}"
    history = History(size=100, days=FIVE_MINUTES)
    deltas = True
