DELETE FROM tocsin_outcome WHERE id IN (SELECT value FROM json_each(%(ids)s))
