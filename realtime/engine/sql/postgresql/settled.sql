SELECT pg_snapshot_xmin(pg_current_snapshot()) >= %(xmax)s::xid8
