INSERT INTO tocsin_life (id, system_identifier, timeline, database_oid)
VALUES (1, %(system_identifier)s, %(timeline)s, %(database_oid)s)
ON CONFLICT (id) DO UPDATE SET system_identifier = excluded.system_identifier,
   timeline = excluded.timeline, database_oid = excluded.database_oid
