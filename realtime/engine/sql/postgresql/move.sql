-- Outbox to log, in one statement: every visible revocation and the lowest visible ids below the
-- first TRUNCATE, numbered per topic, appended (correctness.md, section 3). What is visible is taken
-- by being deleted; no id is ever assumed to be the last one.
WITH picked AS (
  (SELECT id FROM tocsin_entry WHERE control AND op <> 'E' AND id > %(floor)s)
  UNION ALL
  (SELECT id FROM tocsin_entry WHERE NOT control AND id > %(floor)s
      AND id < coalesce((SELECT min(id) FROM tocsin_entry WHERE op = 'T'), 9223372036854775807)
    ORDER BY id LIMIT %(limit)s)),
gone AS (
  DELETE FROM tocsin_entry WHERE id = ANY (ARRAY(SELECT id FROM picked)) RETURNING *),
each AS (
  SELECT t.topic, g.*,
         CASE WHEN strpos(t.topic, ':') > 0 THEN split_part(t.topic, ':', 1)
              WHEN t.topic = '!control' THEN t.topic ELSE '' END AS namespace,
         row_number() OVER (PARTITION BY t.topic ORDER BY g.id) AS n,
         count(*) OVER (PARTITION BY t.topic) AS c
    FROM gone g
   CROSS JOIN LATERAL (SELECT DISTINCT u AS topic FROM unnest(g.topics) u WHERE u IS NOT NULL) t),
bump AS (
  INSERT INTO tocsin_head AS h (topic, epoch, "offset", moved_at)
  SELECT e.topic, coalesce(n.epoch, %(epoch)s), e.c, clock_timestamp()
    FROM (SELECT topic, namespace, max(c) AS c FROM each GROUP BY topic, namespace) e
    LEFT JOIN tocsin_namespace n ON n.name = e.namespace
   ORDER BY e.topic
  ON CONFLICT (topic) DO UPDATE SET "offset" = h."offset" + excluded."offset", moved_at = excluded.moved_at
  RETURNING topic, epoch, "offset", NOT EXISTS (
      SELECT FROM tocsin_namespace n WHERE n.name =
        CASE WHEN strpos(h.topic, ':') > 0 THEN split_part(h.topic, ':', 1)
             WHEN h.topic = '!control' THEN h.topic ELSE '' END) AS unknown),
mark AS (
  SELECT coalesce((SELECT "offset" FROM bump WHERE topic = '!control'),
                  (SELECT "offset" FROM tocsin_head WHERE topic = '!control'), 0) AS m),
appended AS (
  INSERT INTO tocsin_log (topic, "offset", entry, op, key, body, counts, about, mark, written_at)
  SELECT e.topic, b."offset" - e.c + e.n, e.id, e.op, e.key, e.body, e.counts, e.about, mark.m, e.written_at
    FROM each e JOIN bump b USING (topic), mark
  RETURNING topic, "offset", op, key, body, counts, about, written_at, entry, mark)
SELECT a.topic, b.epoch, b.unknown, a."offset", a.op::text, a.key, a.body::text, a.counts::text,
       (extract(epoch FROM a.written_at) * 1000)::bigint, a.entry, a.mark, a.about::text
  FROM appended a JOIN bump b USING (topic) ORDER BY a.topic, a."offset"
