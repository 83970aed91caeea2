-- The rows of a Latest topic: the newest of each key that is not a tombstone. The tombstones are
-- left out outside the DISTINCT ON, else the value before them would show.
SELECT k.key, k.body FROM (
       SELECT DISTINCT ON (key) "offset", op, key, body::text AS body
         FROM tocsin_log WHERE topic = %(topic)s ORDER BY key, "offset" DESC) k
 WHERE k.op <> 'd' ORDER BY k."offset"
