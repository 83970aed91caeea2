SELECT k.key, k.body FROM (
       SELECT max("offset") AS "offset", op, key, body
         FROM tocsin_log WHERE topic = %(topic)s GROUP BY key) k
 WHERE k.op <> 'd' ORDER BY k."offset"
