DELETE FROM tocsin_head WHERE topic = %(topic)s
