SELECT 1 FROM tocsin_entry WHERE id > %(floor)s AND op <> 'E' LIMIT 1
