-- The relay's way through the log; ids are given by one writer at a time, so none comes late.
SELECT l.id, l.topic, coalesce(h.epoch, ''), l."offset", l.op, l.key, l.body, l.counts, l.written_at,
       coalesce(l.entry, 0), coalesce(l.mark, 0), l.about
  FROM tocsin_log l LEFT JOIN tocsin_head h ON h.topic = l.topic
 WHERE l.id > %(cursor)s ORDER BY l.id LIMIT %(limit)s
