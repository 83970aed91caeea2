-- A part of what is kept of a topic, from either end, with the head of the same instant.
SELECT coalesce(h.epoch, n.epoch, ''), coalesce(h."offset", 0),
       coalesce((SELECT c."offset" FROM tocsin_head c WHERE c.topic = '!control'), 0),
       l."offset", l.op::text, l.key, l.body, l.counts, l.at, l.entry, l.mark, l.about
  FROM (SELECT %(topic)s::text COLLATE "C" AS topic) t
  LEFT JOIN tocsin_head h ON h.topic = t.topic
  LEFT JOIN tocsin_namespace n ON n.name = %(namespace)s
  LEFT JOIN LATERAL (
       SELECT "offset", op, key, body::text AS body, counts::text AS counts, coalesce(entry, 0) AS entry, mark,
              about::text AS about, (extract(epoch FROM written_at) * 1000)::bigint AS at
         FROM tocsin_log
        WHERE topic = t.topic AND "offset" > %(after)s AND "offset" < %(before)s
        ORDER BY "offset" {{direction}} LIMIT %(rows)s) l ON true
 ORDER BY l."offset" {{direction}}
