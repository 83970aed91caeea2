-- The relay that leads holds the advisory lock; the others that stand by carry the name alone.
SELECT a.application_name, a.pid, a.backend_start, coalesce(host(a.client_addr), ''),
       coalesce(bool_or(l.granted), false) AS leads
  FROM pg_stat_activity a
  LEFT JOIN pg_locks l ON l.pid = a.pid AND l.locktype = 'advisory' AND l.objsubid = 1
       AND l.classid = %(high)s AND l.objid = %(low)s
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
 WHERE a.datname = current_database()
   AND (l.granted OR a.application_name LIKE 'tocsin relay %%')
 GROUP BY 1, 2, 3, 4
 ORDER BY leads DESC, a.backend_start
