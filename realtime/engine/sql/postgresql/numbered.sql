-- Where the log has these entries by now; each stands behind `after` in its topic.
SELECT l.entry, h.epoch, l."offset"
  FROM unnest(%(topics)s::text[], %(entries)s::bigint[], %(after)s::bigint[]) AS w(topic, entry, after)
  JOIN tocsin_head h ON h.topic = w.topic COLLATE "C"
  JOIN tocsin_log l ON l.topic = h.topic AND l."offset" > w.after AND l.entry = w.entry
