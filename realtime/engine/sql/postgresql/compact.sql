-- Topics that keep the newest of each key: a publication with a newer one of its key goes, once
-- everybody who was about to read it has; the floor stays (correctness.md, section 8).
WITH old AS (
  SELECT o.topic, o."offset"
    FROM json_to_recordset(%(policies)s::json) AS s(topic text)
   CROSS JOIN LATERAL (
         SELECT l.topic, l."offset" FROM tocsin_log l
          WHERE l.topic = s.topic COLLATE "C" AND l.moved_at < clock_timestamp() - make_interval(secs => %(grace_s)s)
            AND EXISTS (SELECT FROM tocsin_log n WHERE n.topic = l.topic AND n.key = l.key AND n."offset" > l."offset")
          ORDER BY l."offset" LIMIT %(rows)s) o),
gone AS (
  DELETE FROM tocsin_log l USING old o WHERE l.topic = o.topic AND l."offset" = o."offset" RETURNING 1)
SELECT count(*) FROM gone
