SELECT 1 FROM tocsin_entry WHERE id > %(floor)s LIMIT 1
