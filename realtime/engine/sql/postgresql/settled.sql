-- Whether all transactions with ids below this one, which has ended, have ended.
SELECT pg_snapshot_xmin(pg_current_snapshot()) >= %(xid)s::xid8
