-- Tombstones of their age that are the last of their key: an older value that was still there would
-- be the newest again. The floor rises: who stood below never heard of the deletion.
WITH old AS (
  SELECT o.topic, o."offset"
    FROM json_to_recordset(%(policies)s::json) AS s(topic text, age_s float8)
   CROSS JOIN LATERAL (
         SELECT l.topic, l."offset" FROM tocsin_log l
          WHERE l.topic = s.topic COLLATE "C" AND l.op = 'd' AND l.moved_at < clock_timestamp() - make_interval(secs => s.age_s)
            AND NOT EXISTS (SELECT FROM tocsin_log n WHERE n.topic = l.topic AND n.key = l.key AND n."offset" <> l."offset")
          ORDER BY l."offset" LIMIT %(rows)s) o),
gone AS (
  DELETE FROM tocsin_log l USING old o WHERE l.topic = o.topic AND l."offset" = o."offset" RETURNING l.topic, l."offset"),
raised AS (
  UPDATE tocsin_head h SET floor = greatest(h.floor, g.highest)
    FROM (SELECT topic, max("offset") AS highest FROM gone GROUP BY topic) g WHERE h.topic = g.topic)
SELECT count(*) FROM gone
