-- Of a row that is gone: each publication before its last delete says only that it went. Whoever
-- reads them all ends where a fresh read does, since that delete comes after them.
UPDATE tocsin_log l SET op = 'd', body = NULL, about = NULL
 WHERE l.key = %(key)s AND l.body IS NOT NULL AND split_part(l.topic, ':', 1) = %(namespace)s
   AND EXISTS (SELECT FROM tocsin_log d
                WHERE d.topic = l.topic AND d.key = l.key AND d.op = 'd' AND d."offset" > l."offset")
RETURNING l.topic
