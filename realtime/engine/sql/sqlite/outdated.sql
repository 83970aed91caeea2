-- What may be forgotten of publishes with an idempotency key.
SELECT id FROM tocsin_outcome WHERE made_at < CAST(strftime('%%s', 'now') AS INTEGER) - %(age_s)s
 ORDER BY made_at LIMIT %(rows)s
