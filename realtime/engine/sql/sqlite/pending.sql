-- There is no outbox: a row and its publication become visible together.
SELECT entry FROM tocsin_log WHERE topic = %(topic)s AND 0
