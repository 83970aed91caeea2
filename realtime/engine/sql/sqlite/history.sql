-- A part of what is kept of a topic, from either end, with the head of the same instant.
SELECT coalesce(h.epoch, n.epoch, ''), coalesce(h."offset", 0),
       coalesce((SELECT c."offset" FROM tocsin_head c WHERE c.topic = '!control'), 0),
       l."offset", l.op, l.key, l.body, l.counts, l.at, l.entry, l.mark, l.about
  FROM (SELECT 1) t
  LEFT JOIN tocsin_head h ON h.topic = %(topic)s
  LEFT JOIN tocsin_namespace n ON n.name = %(namespace)s
  LEFT JOIN (
       SELECT "offset", op, key, body, counts, coalesce(entry, 0) AS entry, mark, about,
              written_at AS at
         FROM tocsin_log
        WHERE topic = %(topic)s AND "offset" > %(after)s AND "offset" < %(before)s
        ORDER BY "offset" {{direction}} LIMIT %(rows)s) l ON 1
 ORDER BY l."offset" {{direction}}
