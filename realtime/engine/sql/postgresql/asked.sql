-- What hubs ask: which topic's log, of which epoch, was behind what they had delivered.
SELECT id, key, body #>> '{}' FROM tocsin_entry WHERE control AND op = 'E' ORDER BY id LIMIT 1000
