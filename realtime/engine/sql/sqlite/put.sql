INSERT INTO tocsin_head (topic, epoch, "offset")
VALUES (%(topic)s, (SELECT epoch FROM tocsin_namespace WHERE name = %(namespace)s), 1)
ON CONFLICT (topic) DO UPDATE SET "offset" = "offset" + 1, moved_at = excluded.moved_at;
INSERT INTO tocsin_log (topic, "offset", op, body, about, mark)
SELECT topic, "offset", 'p', %(data)s, %(about)s,
       coalesce((SELECT c."offset" FROM tocsin_head c WHERE c.topic = '!control'), 0)
  FROM tocsin_head WHERE topic = %(topic)s;
