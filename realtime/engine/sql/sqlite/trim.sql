-- The ids of what is to be trimmed; retention.py removes them and raises the floors.
WITH wanted AS (
  SELECT h.topic, h."offset" - json_extract(s.value, '$.size') AS beyond,
         CAST(round((julianday('now') - 2440587.5) * 86400000 - json_extract(s.value, '$.age_s') * 1000) AS INTEGER) AS before
    FROM json_each(%(policies)s) s JOIN tocsin_head h ON h.topic = json_extract(s.value, '$.topic'))
SELECT l.id, l.topic, l."offset" FROM wanted w JOIN tocsin_log l ON l.topic = w.topic
   AND l."offset" <= max(w.beyond, coalesce(
         (SELECT CASE WHEN o.moved_at < w.before THEN o."offset" + %(rows)s END
            FROM tocsin_log o WHERE o.topic = w.topic ORDER BY o."offset" LIMIT 1), 0))
 WHERE (l."offset" <= w.beyond OR l.moved_at < w.before) AND l.id <= %(cursor)s
 ORDER BY l.topic, l."offset" LIMIT %(rows)s
