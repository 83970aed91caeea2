SELECT count(*), coalesce(max("offset"), 0) FROM tocsin_log
 WHERE topic = %(topic)s AND "offset" > %(after)s AND entry IN (SELECT value FROM json_each(%(entries)s))
