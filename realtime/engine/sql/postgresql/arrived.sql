SELECT count(*), coalesce(max("offset"), 0) FROM tocsin_log
 WHERE topic = %(topic)s AND "offset" > %(after)s AND entry = ANY (%(entries)s)
