-- Heads that have been idle and have nothing left in the log. Their namespaces begin a new epoch in
-- the same statement, so offsets never begin again under an old one; living heads keep their copy.
WITH gone AS (
  DELETE FROM tocsin_head WHERE topic IN (
         SELECT h.topic FROM tocsin_head h
          WHERE h.moved_at < clock_timestamp() - make_interval(secs => %(age_s)s) AND h.topic <> '!control'
            AND NOT EXISTS (SELECT FROM tocsin_log l WHERE l.topic = h.topic)
          LIMIT %(rows)s)
  RETURNING topic),
renewed AS (
  UPDATE tocsin_namespace SET epoch = %(epoch)s WHERE name IN (
         SELECT CASE WHEN strpos(topic, ':') > 0 THEN split_part(topic, ':', 1) ELSE '' END FROM gone))
SELECT count(*) FROM gone
