SELECT h.topic FROM tocsin_head h
 WHERE h.moved_at < (julianday('now') - 2440587.5) * 86400000 - %(age_s)s * 1000 AND h.topic <> '!control'
   AND NOT EXISTS (SELECT 1 FROM tocsin_log l WHERE l.topic = h.topic)
 LIMIT %(rows)s
