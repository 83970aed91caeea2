DELETE FROM tocsin_revoked_token WHERE id IN (SELECT value::bigint FROM json_array_elements_text(%(ids)s::json))
