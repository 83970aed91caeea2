-- Which life of which database this is, what was written down of it, and how far its outbox has got.
SELECT (SELECT system_identifier::text FROM pg_control_system()),
       CASE WHEN pg_is_in_recovery() THEN '' ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END,
       (SELECT oid::text FROM pg_database WHERE datname = current_database()),
       l.system_identifier, l.timeline, l.database_oid,
       (SELECT CASE WHEN s.is_called THEN s.last_value ELSE 0 END FROM tocsin_entry_id_seq s)
  FROM (SELECT 1) one LEFT JOIN tocsin_life l ON l.id = 1
