DELETE FROM tocsin_entry WHERE op = 'E' AND id <= %(id)s
