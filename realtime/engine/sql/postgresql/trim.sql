-- Removes the oldest publications of these topics: beyond their number, or older than their age.
-- The floor rises in the same statement, so a reader is told what it misses.
WITH wanted AS (
  SELECT h.topic, h."offset" - s.size AS beyond, clock_timestamp() - make_interval(secs => s.age_s) AS before
    FROM json_to_recordset(%(policies)s::json) AS s(topic text, size bigint, age_s float8)
    JOIN tocsin_head h ON h.topic = s.topic COLLATE "C"),
old AS (
  SELECT w.topic, o."offset" FROM wanted w
   CROSS JOIN LATERAL (
         SELECT l."offset", l.moved_at FROM tocsin_log l WHERE l.topic = w.topic ORDER BY l."offset" LIMIT 1) oldest
   CROSS JOIN LATERAL (
         SELECT l."offset" FROM tocsin_log l
          WHERE l.topic = w.topic
            -- walk on by age only where the oldest has that age
            AND l."offset" <= greatest(w.beyond, CASE WHEN oldest.moved_at < w.before THEN oldest."offset" + %(rows)s END)
            AND (l."offset" <= w.beyond OR l.moved_at < w.before)
          ORDER BY l."offset" LIMIT %(rows)s) o),
gone AS (
  DELETE FROM tocsin_log l USING old o WHERE l.topic = o.topic AND l."offset" = o."offset" RETURNING l.topic, l."offset"),
raised AS (
  UPDATE tocsin_head h SET floor = greatest(h.floor, g.highest)
    FROM (SELECT topic, max("offset") AS highest FROM gone GROUP BY topic) g WHERE h.topic = g.topic)
SELECT count(*) FROM gone
