SELECT seqcache FROM pg_sequence WHERE seqrelid = pg_get_serial_sequence('tocsin_entry', 'id')::regclass
