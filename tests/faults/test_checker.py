"""The judge of the battery finds each planted fault, and none where there is none."""

import dataclasses

import pytest

from tests.faults.checker import Began, Ended, Heard, Recovered, Truth, judge

INBOX = "inbox:#1"


def row(key, text="a", topic=INBOX):
    return {"title": f"{topic}|{text}", "key": key}


def change(op, key, text="a", topic=INBOX, unread=0):
    body = {} if op == "d" else {"body": row(key, text, topic)}
    return {"op": op, "key": key, **body, "counts": {"unread": unread}}


BEGAN = Began(INBOX, "aaaa", 3, [{"key": "1", "body": row("1")}], {"unread": 1}, [])
CHANGES = [
    change("i", "2", unread=1),
    change("u", "1", "b"),
    change("d", "2", unread=-1),
    change("i", "3", unread=1),
]
ALL = [Heard(INBOX, offset, data) for offset, data in enumerate(CHANGES, 4)]
FRESH = {"1": row("1", "b"), "3": row("3")}
TRUTH = {INBOX: Truth("aaaa", 7, FRESH, {"unread": 2})}


def wrong(log, truths=None):
    return "\n".join(judge(log, truths or TRUTH)[0])


def test_what_is_right_is_left_alone():
    assert wrong([BEGAN, *ALL]) == ""


def test_a_recovery_continues_and_a_new_beginning_replaces():
    missed = [(event.offset, event.data) for event in ALL[1:]]
    assert wrong([BEGAN, ALL[0], Recovered(INBOX, "aaaa", 4, missed)]) == ""
    rows = [{"key": key, "body": body} for key, body in FRESH.items()]
    anew = Began(INBOX, "aaaa", 7, rows, {"unread": 2}, [], asked=True, told=True)
    assert wrong([BEGAN, ALL[0], Ended(INBOX, 2500), anew]) == ""
    behind = dataclasses.replace(BEGAN, offset=7, behind=CHANGES)
    assert wrong([behind]) == ""


def test_a_provisional_epoch_may_leave_out_but_never_lose():
    began = dataclasses.replace(BEGAN, epoch="aaaa!")
    unmoved = [Heard(INBOX, 5, CHANGES[1]), Heard(INBOX, 7, CHANGES[3])]
    assert wrong([began, *unmoved]) == ""
    assert "rows differ" in wrong([began, unmoved[1]])


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ([BEGAN, ALL[0], *ALL[2:]], "6 came after 4: lost"),
        ([BEGAN, *ALL[:-1]], "stands at aaaa 6, the log at aaaa 7"),
        ([BEGAN, *ALL, ALL[-1]], "7 came after 7: repeated"),
        ([BEGAN, ALL[1], ALL[0], *ALL[2:]], "4 came after 5: repeated or reordered"),
        ([BEGAN, *ALL, Heard(INBOX, 8, change("u", "1", "undo"))], "rolled-back transaction"),
        ([BEGAN, *ALL, Heard("inbox:#2", 1, CHANGES[0])], "inbox:#2: never asked for"),
        ([BEGAN, *ALL, Heard(INBOX, 8, change("i", "9", topic="inbox:#2"))], "somebody else's"),
        ([BEGAN, *ALL, Heard(INBOX, 8, change("i", "3"))], "row 3 inserted twice"),
        ([BEGAN, *ALL, Heard(INBOX, 8, change("d", "8"))], "deleted, but it was not there"),
        ([*ALL], "heard before its beginning"),
        ([], "never begun"),
        ([BEGAN, *ALL, Recovered(INBOX, "bbbb", 7, [])], "recovered into bbbb from aaaa"),
        ([BEGAN, *ALL, Recovered(INBOX, "aaaa", 5, [])], "recovered from 5, stood at 7"),
        ([BEGAN, dataclasses.replace(BEGAN, asked=True)], "began anew without a word"),
        ([BEGAN, *ALL, Ended(INBOX, 2000)], "ended with 2000"),
        ([BEGAN, *ALL, Ended("", 3500)], "the connection: ended with 3500"),
    ],
)
def test_a_planted_fault_is_found(log, said):
    assert said in wrong(log)


def test_counts_and_rows_are_held_against_the_fresh_read():
    counts = {INBOX: dataclasses.replace(TRUTH[INBOX], counts={"unread": 3})}
    assert "counts {'unread': 2}" in wrong([BEGAN, *ALL], counts)
    rows = {INBOX: dataclasses.replace(TRUTH[INBOX], rows={"1": row("1", "b")})}
    assert "1 rows differ" in wrong([BEGAN, *ALL], rows)


def test_in_a_topic_of_the_latest_offsets_rise():
    truth = {INBOX: dataclasses.replace(TRUTH[INBOX], compacted=True, counts={"unread": 1})}
    began = dataclasses.replace(BEGAN, counts={"unread": 0})
    replaced = [Heard(INBOX, 5, CHANGES[1]), Heard(INBOX, 7, CHANGES[3])]
    assert wrong([began, *replaced], truth) == ""
    assert "repeated or reordered" in wrong([began, *reversed(replaced)], truth)


def test_only_the_newest_rows_are_compared_where_a_page_shows_no_more():
    truth = {INBOX: dataclasses.replace(TRUTH[INBOX], rows={"3": row("3")}, newest=1)}
    assert wrong([BEGAN, *ALL], truth) == ""


def test_a_trade_of_another_market_is_found():
    trade = {"op": "i", "key": "1", "body": {"price": "1001.5", "side": "buy"}}
    truth = {"trades:M1000": Truth("a", 1, {"1": trade["body"]}, {})}
    began = Began("trades:M1000", "a", 0, [], {}, [])
    assert "another market's" in wrong([began, Heard("trades:M1000", 1, trade)], truth)
