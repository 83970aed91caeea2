-- A file knows nothing of its lives: it gets a name of its own, and the witness outside does the rest.
SELECT coalesce(l.system_identifier, %(own)s), '', '', l.system_identifier, coalesce(l.timeline, ''), coalesce(l.database_oid, ''),
       coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'tocsin_log'), 0)
  FROM (SELECT 1) one LEFT JOIN tocsin_life l ON l.id = 1
