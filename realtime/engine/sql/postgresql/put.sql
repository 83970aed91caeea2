-- The first statement draws the transaction's number: only then may it draw an entry's id
-- (correctness.md, section 3). A transaction that may be prepared must not notify.
SELECT pg_current_xact_id();
SELECT CASE WHEN current_setting('max_prepared_transactions') = '0'
             AND NOT pg_try_advisory_xact_lock_shared(7067101) THEN pg_notify('tocsin', '') END;
INSERT INTO tocsin_entry (topics, op, body, about)
VALUES (ARRAY[%(topic)s], 'p', %(data)s::json, %(about)s::json)
RETURNING id, coalesce((SELECT h."offset" FROM tocsin_head h WHERE h.topic = %(topic)s), 0);
