-- Whoever gets the row in is the first to publish by this idempotency key; whoever comes meanwhile
-- waits for the end of that transaction.
INSERT INTO tocsin_outcome (key, topic, word, entry, epoch, "offset", made_at)
VALUES (%(key)s, %(topic)s, %(word)s, 0, '', 0, extract(epoch FROM clock_timestamp())::bigint)
ON CONFLICT (key, topic, word) DO NOTHING
