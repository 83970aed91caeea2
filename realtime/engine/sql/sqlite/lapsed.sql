-- Revocations of tokens that are over by now.
SELECT id FROM tocsin_revoked_token
 WHERE revoked_at < strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '-' || %(age_s)s || ' seconds')
 ORDER BY revoked_at LIMIT %(rows)s
