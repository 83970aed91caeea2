-- As put.sql; an entry of `!control`, which every move takes first.
SELECT pg_current_xact_id();
SELECT CASE WHEN current_setting('max_prepared_transactions') = '0'
             AND NOT pg_try_advisory_xact_lock_shared(7067101) THEN pg_notify('tocsin', '') END;
INSERT INTO tocsin_entry (topics, op, body, control) VALUES ('{!control}', 'c', %(body)s::json, true);
