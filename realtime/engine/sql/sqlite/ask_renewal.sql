-- A hub asks the relay for new epochs; nothing else is ever in this table.
INSERT INTO tocsin_entry (op, key, body, control) VALUES ('E', %(topic)s, json_quote(%(epoch)s), 1)
