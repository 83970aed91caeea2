-- Number a publication in each of some topics and append it to the log (inside a trigger).
-- The WHERE is needed: without one ON would parse as a join.
INSERT INTO tocsin_head (topic, epoch, "offset")
SELECT topic, coalesce((SELECT epoch FROM tocsin_namespace WHERE name = {{namespace}}), 'undeclared'), 1
  FROM ({{topics}}) WHERE topic IS NOT NULL
ON CONFLICT (topic) DO UPDATE SET "offset" = "offset" + 1, moved_at = excluded.moved_at;
INSERT INTO tocsin_log (topic, "offset", op, key, body, counts, mark)
SELECT h.topic, h."offset", {{op}}, {{key}}, {{kept_body}}, {{counts}},
       coalesce((SELECT c."offset" FROM tocsin_head c WHERE c.topic = '!control'), 0)
  FROM tocsin_head h, (SELECT {{body}} AS body LIMIT 1) b
 WHERE h.topic IN ({{topics}});
