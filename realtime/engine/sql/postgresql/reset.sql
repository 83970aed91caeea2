-- The first TRUNCATE in the outbox: a new epoch for its namespace, whose heads and log end here.
-- Topics are found by their namespace, never by LIKE ('my_ns:%' also finds 'myXns:1').
WITH gone AS (
  DELETE FROM tocsin_entry WHERE id = (SELECT min(id) FROM tocsin_entry WHERE op = 'T') RETURNING key),
renewed AS (
  INSERT INTO tocsin_namespace (name, epoch) SELECT key, %(epoch)s FROM gone
  ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch RETURNING name, epoch),
ended AS (
  DELETE FROM tocsin_head h USING renewed r
   WHERE r.name = CASE WHEN strpos(h.topic, ':') > 0 THEN split_part(h.topic, ':', 1)
                       WHEN h.topic = '!control' THEN h.topic ELSE '' END
  RETURNING h.topic),
emptied AS (DELETE FROM tocsin_log l USING ended e WHERE l.topic = e.topic)
SELECT r.name, r.epoch, e.topic FROM renewed r LEFT JOIN ended e ON true ORDER BY e.topic
