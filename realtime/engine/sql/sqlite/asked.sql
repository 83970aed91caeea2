-- What hubs ask: which topic's log, of which epoch, was behind what they had delivered.
SELECT id, key, json_extract(body, '$') FROM tocsin_entry WHERE op = 'E' ORDER BY id LIMIT 1000
