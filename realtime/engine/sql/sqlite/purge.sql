UPDATE tocsin_log AS l SET op = 'd', body = NULL, about = NULL
 WHERE l.key = %(key)s AND l.body IS NOT NULL
   AND substr(l.topic, 1, instr(l.topic || ':', ':') - 1) = %(namespace)s
   AND EXISTS (SELECT 1 FROM tocsin_log d
                WHERE d.topic = l.topic AND d.key = l.key AND d.op = 'd' AND d."offset" > l."offset")
RETURNING topic
