-- The engine's tables. log and head have no constraint that data could break: under an outer
-- INSERT OR IGNORE a failure inside a trigger would be swallowed. Instants are unix milliseconds.
CREATE TABLE tocsin_entry (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topics TEXT,
    op TEXT,
    key TEXT,
    body TEXT,
    counts TEXT,
    about TEXT,
    control INTEGER DEFAULT 0,
    written_at INTEGER
);
CREATE TABLE tocsin_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT,
    "offset" INTEGER,
    entry INTEGER DEFAULT 0,
    op TEXT,
    key TEXT,
    body TEXT,
    counts TEXT,
    about TEXT,
    mark INTEGER DEFAULT 0,
    written_at INTEGER DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)),
    moved_at INTEGER DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER))
);
CREATE UNIQUE INDEX tocsin_log_offset ON tocsin_log (topic, "offset");
CREATE INDEX tocsin_log_key ON tocsin_log (topic, key, "offset");
CREATE INDEX tocsin_log_moved ON tocsin_log (moved_at);
CREATE TABLE tocsin_head (
    topic TEXT PRIMARY KEY,
    epoch TEXT,
    "offset" INTEGER DEFAULT 0,
    floor INTEGER DEFAULT 0,
    moved_at INTEGER DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER))
);
CREATE TABLE tocsin_namespace (
    name TEXT PRIMARY KEY,
    epoch TEXT
);
CREATE TABLE tocsin_life (
    id INTEGER PRIMARY KEY DEFAULT 1,
    system_identifier TEXT,
    timeline TEXT,
    database_oid TEXT
);
