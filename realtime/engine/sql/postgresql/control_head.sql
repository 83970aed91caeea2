SELECT coalesce(max("offset"), 0) FROM tocsin_head WHERE topic = '!control'
