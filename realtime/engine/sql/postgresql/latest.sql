-- Head and publications of a topic in one statement, so they are of one instant.
SELECT coalesce(h.epoch, n.epoch, ''), coalesce(h."offset", 0), coalesce(h.floor, 0),
       coalesce((SELECT c."offset" FROM tocsin_head c WHERE c.topic = '!control'), 0),
       l."offset", l.op::text, l.key, l.body, l.counts, l.at, l.entry, l.mark, l.about
  FROM (SELECT %(topic)s::text COLLATE "C" AS topic) t
  LEFT JOIN tocsin_head h ON h.topic = t.topic
  LEFT JOIN tocsin_namespace n ON n.name = %(namespace)s
  LEFT JOIN LATERAL (
       SELECT k.* FROM (
              SELECT DISTINCT ON (key) "offset", op, key, body::text AS body, counts::text AS counts,
                     coalesce(entry, 0) AS entry, mark, about::text AS about,
                     (extract(epoch FROM written_at) * 1000)::bigint AS at
                FROM tocsin_log
               WHERE topic = t.topic AND "offset" > %(after)s AND h.floor <= %(after)s
                 AND %(epoch)s IN ('', h.epoch)
               ORDER BY key, "offset" DESC) k
        ORDER BY k."offset" LIMIT %(rows)s) l ON true
 ORDER BY l."offset"
