DELETE FROM tocsin_revoked_token WHERE id IN (SELECT value FROM json_each(%(ids)s))
