SELECT l.id, l.topic, l."offset" FROM json_each(%(policies)s) s JOIN tocsin_log l ON l.topic = json_extract(s.value, '$.topic')
 WHERE l.op = 'd' AND l.moved_at < (julianday('now') - 2440587.5) * 86400000 - json_extract(s.value, '$.age_s') * 1000
   AND NOT EXISTS (SELECT 1 FROM tocsin_log n WHERE n.topic = l.topic AND n.key = l.key AND n."offset" <> l."offset")
   AND l.id <= %(cursor)s
 ORDER BY l."offset" LIMIT %(rows)s
