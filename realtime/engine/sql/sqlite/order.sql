INSERT INTO tocsin_head (topic, epoch, "offset")
VALUES ('!control', (SELECT epoch FROM tocsin_namespace WHERE name = '!control'), 1)
ON CONFLICT (topic) DO UPDATE SET "offset" = "offset" + 1, moved_at = excluded.moved_at;
INSERT INTO tocsin_log (topic, "offset", op, body, mark)
SELECT topic, "offset", 'c', %(body)s, "offset" FROM tocsin_head WHERE topic = '!control';
