DELETE FROM tocsin_log WHERE id IN (SELECT value FROM json_each(%(ids)s))
