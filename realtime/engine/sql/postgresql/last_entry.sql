SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM tocsin_entry_id_seq
