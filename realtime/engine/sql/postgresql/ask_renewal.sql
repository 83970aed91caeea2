-- A hub asks the relay for new epochs; a control entry, so that it is found by that small index.
INSERT INTO tocsin_entry (op, key, body, control) VALUES ('E', %(topic)s, to_json(%(epoch)s::text), true)
