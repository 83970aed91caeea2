-- What the snapshot still sees in the outbox; the outbox is short and has no index for this.
SELECT id FROM tocsin_entry WHERE topics @> ARRAY[%(topic)s::text COLLATE "C"] ORDER BY id LIMIT 1001
