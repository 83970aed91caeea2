"""A program that writes in every way until it is told to stop: `writers orm|sql SEED PERSON…`.

Run by the battery as a process of its own. What it rolls back carries the word "undo"; every other
row carries where it belongs, so that a reader can tell. Its last line says what it did, as JSON.
"""

import collections
import contextlib
import json
import random
import signal
import sys
import threading

MARKETS = (1000, 2000, 3000)
PACE_S = 0.06
THREADS = 3
MOST = 120  # notifications of a person


class Undo(Exception):  # noqa: N818  (rolls a transaction back)
    pass


class Writer:
    """Picks at random among its methods that begin with `do_`."""

    def __init__(self, name, seed, people):
        self.name, self.people = name, people
        self.chance, self.number = random.Random(seed), 0
        self.did, self.failed = collections.Counter(), collections.Counter()
        self.stop = threading.Event()
        self.choices = sorted(name for name in dir(self) if name.startswith("do_"))

    def run(self):
        while not self.stop.wait(self.chance.expovariate(1 / PACE_S)):
            choice = self.chance.choice(self.choices)
            try:
                getattr(self, choice)()
                self.did[choice.removeprefix("do_")] += 1
            except Exception as error:  # noqa: BLE001  (a server that was killed: what counts is what was committed)
                self.failed[f"{type(error).__name__}: {' '.join(str(error).split())[:80]}"] += 1
                self.renew()
        self.renew()

    def title(self, person, word=""):
        self.number += 1
        return f"inbox:#{person}|{self.name}.{self.number}{word}"

    def somebody(self):
        return self.chance.choice(self.people)

    def trade(self, market):
        return self.chance.getrandbits(40), market + self.chance.randrange(100) / 100

    def renew(self):
        raise NotImplementedError


class Orm(Writer):
    def __init__(self, *values):
        super().__init__(*values)
        from django.contrib.auth.models import User  # noqa: PLC0415  (after setup)
        from django.db import connection, transaction  # noqa: PLC0415
        from django.utils import timezone  # noqa: PLC0415

        from realtime.markets.models import Ticker, Trade  # noqa: PLC0415
        from realtime.notifications import actions, models  # noqa: PLC0415

        self.connection, self.atomic, self.now = connection, transaction.atomic, timezone.now
        self.rows, self.actions, self.models = models.Notification.objects, actions, models
        self.tickers, self.trades, self.Ticker, self.Trade = (
            Ticker.objects, Trade.objects, Ticker, Trade,
        )  # fmt: skip
        self.User = User

    def renew(self):
        self.connection.close()

    def some(self, count=1):
        found = self.rows.filter(recipient=self.somebody()).order_by("pk")
        return list(found[self.chance.randrange(5) :][:count])

    def make(self, person, word=""):
        return self.models.Notification(recipient_id=person, title=self.title(person, word))

    def do_create(self):
        person = self.somebody()
        self.rows.create(recipient_id=person, title=self.title(person))

    def do_bulk_create(self):
        self.rows.bulk_create([self.make(person) for person in self.people for _ in range(2)])

    def do_save(self):
        for row in self.some():
            row.read_at = None if row.read_at else self.now()
            row.save()

    def do_save_nothing_new(self):
        for row in self.some():
            row.save()

    def do_bulk_update(self):
        rows = self.some(5)
        for row in rows:
            row.body = self.title(0)
        self.rows.bulk_update(rows, ["body"])

    def do_update(self):
        self.rows.filter(recipient=self.somebody(), read_at=None).update(seen_at=self.now())

    def do_delete(self):
        for row in self.some():
            row.delete()

    def do_prune(self):
        for person in self.people:
            kept = self.rows.filter(recipient=person).order_by("-pk")[MOST:]
            self.rows.filter(pk__in=list(kept.values_list("pk", flat=True))).delete()

    def do_move(self):
        other = self.somebody()
        for row in self.some():
            self.rows.filter(pk=row.pk).update(recipient=other, title=self.title(other))

    def do_mark_all_read(self):
        self.actions.mark_all_read(self.User(pk=self.somebody()))

    def do_mark_unread(self):
        person = self.somebody()
        ids = self.rows.filter(recipient=person).values_list("pk", flat=True)
        self.actions.mark_unread(self.User(pk=person), ids[:5])

    def do_roll_back(self):
        with contextlib.suppress(Undo), self.atomic():
            self.rows.bulk_create([self.make(person, "undo") for person in self.people])
            self.rows.filter(recipient=self.somebody()).update(body="undo")
            self.tickers.update(feed="undo")
            raise Undo

    def do_savepoint(self):
        with self.atomic():
            self.make(self.somebody()).save()
            with contextlib.suppress(Undo), self.atomic():
                self.make(self.somebody(), "undo").save()
                raise Undo
            with self.atomic():
                self.make(self.somebody()).save()

    def do_announce(self):
        self.actions.announce(f"announcements:all|{self.name}.{self.number}")

    def do_withdraw(self):
        found = self.models.Announcement.objects.filter(audience="all")
        for row in found.exclude(title__contains="|probe")[:1]:
            self.actions.withdraw(row)

    def do_read_announcements(self):
        ids = self.models.Announcement.objects.values_list("pk", flat=True)[:3]
        self.actions.read_announcements(self.User(pk=self.somebody()), ids)

    def do_prices(self):
        for market in MARKETS:
            _, price = self.trade(market)
            self.tickers.filter(pk=f"M{market}").update(last=price, bid=price, ask=price)

    def do_ticker_gone_and_back(self):
        market = f"M{self.chance.choice(MARKETS)}"
        self.tickers.filter(pk=market).delete()
        self.Ticker(market_id=market, feed=self.name).save(force_insert=True)

    def do_trades(self):
        for market in MARKETS:
            made = [self.trade(market) for _ in range(3)]
            self.trades.bulk_create(
                self.Trade(
                    market_id=f"M{market}",
                    trade_id=number,
                    price=price,
                    quantity=1,
                    side="buy",
                    traded_at=self.now(),
                )
                for number, price in made
            )


class Sql(Writer):
    """A foreign program; two of its connections, to have transactions that overlap."""

    def __init__(self, *values):
        super().__init__(*values)
        from django.db import connection  # noqa: PLC0415  (after setup)

        self.programs, self.sqlite = [], connection.vendor == "sqlite"

    def renew(self):
        while self.programs:
            with contextlib.suppress(Exception):
                self.programs.pop().close()

    def program(self, number=0):
        from tests.live import _raw  # noqa: PLC0415  (after setup)

        while len(self.programs) <= number:
            self.programs.append(_raw())
            if not self.sqlite:
                # DDL that waits for the one would let the other wait for ever
                self.programs[-1].execute("SET lock_timeout = '1s'")
        return self.programs[number]

    def say(self, text, *values, by=0):
        text = text.replace("%s", "?") if self.sqlite else text
        return self.program(by).execute(text, values)

    def insert(self, word="", by=0):
        person = self.somebody()
        self.say(
            "INSERT INTO notifications_notification (recipient_id, title) VALUES (%s, %s)",
            person,
            self.title(person, word),
            by=by,
        )

    def some(self):
        found = self.say(
            "SELECT id FROM notifications_notification WHERE recipient_id = %s ORDER BY id LIMIT 3",
            self.somebody(),
        ).fetchall()
        return [row[0] for row in found]

    def begin(self, by=0):
        self.say("BEGIN IMMEDIATE" if self.sqlite else "BEGIN", by=by)

    def do_insert(self):
        self.insert()

    def do_update(self):
        for row in self.some():
            self.say(
                "UPDATE notifications_notification SET body = %s WHERE id = %s",
                self.title(0),
                row,
            )

    def do_mark_all_read(self):
        self.say(
            "UPDATE notifications_notification SET read_at = CURRENT_TIMESTAMP"
            " WHERE recipient_id = %s AND read_at IS NULL",
            self.somebody(),
        )

    def do_delete(self):
        for row in self.some()[:1]:
            self.say("DELETE FROM notifications_notification WHERE id = %s", row)

    def do_move(self):
        person = self.somebody()
        for row in self.some()[:1]:
            self.say(
                "UPDATE notifications_notification SET recipient_id = %s, title = %s WHERE id = %s",
                person,
                self.title(person),
                row,
            )

    def do_roll_back(self):
        self.begin()
        self.insert("undo")
        person = self.somebody()
        self.say(
            "UPDATE notifications_notification SET body = 'undo' WHERE recipient_id = %s", person
        )
        self.say("ROLLBACK")

    def do_savepoint(self):
        self.begin()
        self.insert()
        self.say("SAVEPOINT s")
        self.insert("undo")
        self.say("ROLLBACK TO SAVEPOINT s")
        self.insert()
        self.say("COMMIT")

    def do_overlap(self):
        """Begun first, committed last; on SQLite writers are one after the other."""
        self.begin()
        self.insert()
        if not self.sqlite:
            self.program(1)
            self.insert(by=1)
            self.stop.wait(self.chance.random() * 0.1)
            self.insert(by=1)
        self.say("COMMIT")

    def do_copy(self):
        if self.sqlite:
            return
        table = "COPY notifications_notification (recipient_id, title) FROM STDIN"
        with self.program().cursor() as cursor, cursor.copy(table) as copy:
            for person in self.people:
                copy.write_row((person, self.title(person)))

    def do_price_upsert(self):
        number, price = self.trade(self.chance.choice(MARKETS))
        self.say(
            "INSERT INTO markets_ticker (market_id, last, volume, trades, quotes, run, feed)"
            " VALUES (%s, %s, 0, 0, 0, 0, %s) ON CONFLICT (market_id)"
            " DO UPDATE SET last = excluded.last, feed = excluded.feed",
            f"M{int(price) // 1000 * 1000}",
            price,
            f"{self.name} {number}",
        )

    def do_trade(self):
        number, price = self.trade(self.chance.choice(MARKETS))
        self.say(
            "INSERT INTO markets_trade (market_id, trade_id, price, quantity, side, traded_at)"
            " VALUES (%s, %s, %s, 1, 'sell', CURRENT_TIMESTAMP)",
            f"M{int(price) // 1000 * 1000}",
            number,
            price,
        )


def main(kind, seed, *people):
    import django  # noqa: PLC0415

    django.setup()
    make = {"orm": Orm, "sql": Sql}[kind]
    writers = [
        make(f"{kind}{n}", int(seed) * 10 + n, [int(person) for person in people])
        for n in range(THREADS)
    ]
    signal.signal(signal.SIGTERM, lambda *_: [writer.stop.set() for writer in writers])
    threads = [threading.Thread(target=writer.run) for writer in writers]
    for thread in threads:
        thread.start()
    say({"writing": kind})
    for thread in threads:
        thread.join()
    did = sum((writer.did for writer in writers), collections.Counter())
    say({"did": did, "failed": sum((w.failed for w in writers), collections.Counter())})


def say(what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
