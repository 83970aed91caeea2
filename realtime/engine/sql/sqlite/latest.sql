-- Head and publications of a topic in one statement, so they are of one instant.
-- A bare column beside max() is of the row that has it (SQLite's own rule).
SELECT coalesce(h.epoch, n.epoch, ''), coalesce(h."offset", 0), coalesce(h.floor, 0),
       coalesce((SELECT c."offset" FROM tocsin_head c WHERE c.topic = '!control'), 0),
       l."offset", l.op, l.key, l.body, l.counts, l.at, l.entry, l.mark, l.about
  FROM (SELECT 1) t
  LEFT JOIN tocsin_head h ON h.topic = %(topic)s
  LEFT JOIN tocsin_namespace n ON n.name = %(namespace)s
  LEFT JOIN (
       SELECT max("offset") AS "offset", op, key, body, counts, coalesce(entry, 0) AS entry, mark, about,
              written_at AS at
         FROM tocsin_log
        WHERE topic = %(topic)s AND "offset" > %(after)s
        GROUP BY key ORDER BY 1 LIMIT %(rows)s) l ON h.floor <= %(after)s AND %(epoch)s IN ('', h.epoch)
 ORDER BY l."offset"
