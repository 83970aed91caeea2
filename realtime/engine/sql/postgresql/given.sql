-- The highest number that a table's automatic key has given; null: none yet.
SELECT pg_sequence_last_value(pg_get_serial_sequence(quote_ident(%(table)s), %(column)s)::regclass)
