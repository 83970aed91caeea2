-- Revocations of tokens that are over by now.
SELECT id FROM tocsin_revoked_token WHERE revoked_at < clock_timestamp() - make_interval(secs => %(age_s)s)
 ORDER BY revoked_at LIMIT %(rows)s
