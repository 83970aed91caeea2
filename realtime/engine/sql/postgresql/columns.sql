SELECT name, attname FROM unnest(%s::text[]) name JOIN pg_attribute ON attrelid = to_regclass(name)
 WHERE attnum > 0 AND NOT attisdropped
