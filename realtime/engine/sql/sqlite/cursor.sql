-- Where a new leader begins: behind what it need not publish again.
SELECT max(coalesce((SELECT max(id) FROM tocsin_log WHERE moved_at <= (julianday('now') - 2440587.5) * 86400000 - %(age_s)s * 1000), 0),
           coalesce((SELECT max(id) FROM tocsin_log), 0) - %(rows)s)
