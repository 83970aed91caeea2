"""Both databases have the same statements, but for what only one of them can do or needs."""

from pathlib import Path

from realtime.engine import sql

FOLDER = Path(sql.__file__).parent
# an outbox, locks and notifications, a catalogue of functions
POSTGRESQL_ONLY = {
    "move",
    "numbered",
    "reset",
    "recent",
    "last_entry",
    "probe",
    "prepared",
    "settled",
    "xid",
    "try_lock",
    "unlock",
    "relays",
    "capture",
    "control",
    "functions",
    "functions_of",
    "home",
    "installed",
    "sequence",
    "strangers",
}
# numbering by the trigger; what PostgreSQL does in one statement with several parts
SQLITE_ONLY = {
    "moved",
    "cursor",
    "data_version",
    "publish",
    "quote",
    "idle",
    "remove",
    "raise_floor",
    "renew",
    "renew_heads",
}


def names(vendor):
    return {path.stem for path in (FOLDER / vendor).glob("*.sql")}


def test_both_databases_have_the_same_statements():
    postgresql, sqlite = names("postgresql"), names("sqlite")
    assert postgresql - sqlite <= POSTGRESQL_ONLY
    assert sqlite - postgresql <= SQLITE_ONLY


def test_every_statement_is_named_by_some_module():
    code = " ".join(
        path.read_text(encoding="utf-8") for path in FOLDER.parent.rglob("*.py") if path.is_file()
    )
    for name in names("postgresql") | names("sqlite"):
        assert f'"{name}"' in code, f"nobody asks for {name}.sql"
