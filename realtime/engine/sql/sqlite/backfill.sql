-- After `reset`: the rows of a namespace become its whole log.
INSERT INTO tocsin_log (topic, "offset", op, key, body, mark)
SELECT topic, row_number() OVER (PARTITION BY topic ORDER BY pk) + coalesce((SELECT "offset" FROM tocsin_head h WHERE h.topic = r.topic), 0),
       CASE WHEN length(CAST(body AS BLOB)) > {{bound}} THEN 'o' ELSE 'i' END, key,
       CASE WHEN length(CAST(body AS BLOB)) <= {{bound}} THEN body END,
       coalesce((SELECT "offset" FROM tocsin_head WHERE topic = '!control'), 0)
  FROM ({{rows}}) r WHERE topic IS NOT NULL;
INSERT INTO tocsin_head (topic, epoch, "offset")
SELECT topic, (SELECT epoch FROM tocsin_namespace WHERE name = {{namespace}}), max("offset") FROM tocsin_log
 WHERE CASE WHEN instr(topic, ':') > 0 THEN substr(topic, 1, instr(topic, ':') - 1) WHEN topic = '!control' THEN topic ELSE '' END = {{namespace}}
 GROUP BY topic
ON CONFLICT (topic) DO UPDATE SET "offset" = excluded."offset";
