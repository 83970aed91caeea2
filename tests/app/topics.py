"""What of the test tables is live."""

from django.db.models import Q

from realtime.engine.topics import History, Latest, Topic, live
from tests.app.models import Everything, Hostile, Item, Quote, Right


@live
class Everythings(Topic):
    namespace = "everything"
    model = Everything
    name = "everything:all"
    fields = tuple(
        field.attname
        for field in Everything._meta.concrete_fields
        if field.name not in {"secret", "id"}
    )
    history = History()

    def allows(self, user):
        return True


@live
class Items(Topic):
    namespace = "items"
    model = Item
    name = ["items:{group}", "items:every:{parent_id}"]
    fields = ("title", "closed_at")
    history = History(size=100)
    counts = {"open": Q(closed_at=None) & ~Q(title="draft")}
    depends_on = (Right,)

    def allows(self, user, *, group=None, parent_id=None):
        return Right.objects.filter(user=user, group=group).exists()


@live
class Quotes(Topic):
    namespace = "quotes"
    model = Quote
    name = ["quotes:{symbol}", "quotes:all"]
    fields = ("price",)
    history = Latest()

    def allows(self, user, *, symbol):
        return True


@live
class Hostiles(Topic):
    namespace = "hostile"
    model = Hostile
    name = "hostile:{id}:it's"
    fields = ("body", "state", "gone")
    history = History()
    counts = {"zero'": Q(gone=0)}

    def allows(self, user, *, id):  # noqa: A002
        return True


@live
class Chat(Topic):
    """Fed by publish()."""

    namespace = "chat"
    name = "chat:{room}"

    def allows(self, user, *, room):
        return True


@live
class Talk(Topic):
    """Clients publish to it, and it is kept."""

    namespace = "talk"
    name = "talk:{room}"
    history = History(size=10)
    presence = True
    join_leave = True
    deltas = True

    def allows(self, user, *, room):
        return True

    def allows_publish(self, user, *, room):
        return room != "closed"


@live
class Rooms(Topic):
    """Passed on to whoever is there; who is there may be asked."""

    namespace = "room"
    name = "room:{room}"
    presence = True
    join_leave = True
    binary = True

    def allows(self, user, *, room):
        return room != "closed"

    def allows_publish(self, user, *, room):
        return room != "quiet"


@live
class Journals(Topic):
    """Kept: said as differences, and everybody hears who comes."""

    namespace = "journal"
    name = ["journal:{room}", "journal:of:#{owner}"]
    history = History(size=5)
    presence = True
    join_leave = "always"
    deltas = True

    def allows(self, user, *, room=None, owner=None):
        return room != "closed"

    def allows_publish(self, user, *, room=None, owner=None):
        return True


@live
class Secrets(Topic):
    """Nobody is let in without a token, whatever its rule says."""

    namespace = "$secret"
    name = "$secret:{room}"
    history = History(size=5)
    presence = True

    def allows(self, user, *, room):
        return True


@live
class Newests(Topic):
    """Who comes back is brought the newest alone."""

    namespace = "newest"
    name = "newest:{room}"
    history = History(size=3, newest=True)

    def allows(self, user, *, room):
        return True

    def allows_publish(self, user, *, room):
        return True


@live
class Personal(Topic):
    """What a person is subscribed to by the server, where PERSONAL_TOPIC says so."""

    namespace = ""
    name = "#{owner}"
    history = History(size=5)
    join_leave = "always"
    presence = True

    def allows(self, user, *, owner):
        return True

    def allows_publish(self, user, *, owner):
        return True


@live
class Lounges(Topic):
    """Kept, and it tells who is there; other programs publish to it."""

    namespace = "rooms"
    name = "rooms:{room}"
    history = History(size=100)
    presence = True
    join_leave = True
    deltas = True

    def allows(self, user, *, room):
        return room != "private"


@live
class Doors(Topic):
    """Each is opened by a right of another kind."""

    namespace = "door"
    name = "door:{right}"
    history = History(size=100)

    def allows(self, user, *, right):
        match right:
            case "group":
                return user.groups.filter(name="members").exists()
            case "permission":
                return user.has_perm("tests_app.view_quote")
            case "staff":
                return user.is_staff
        return user.is_authenticated
