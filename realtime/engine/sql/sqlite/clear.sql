UPDATE tocsin_head SET floor = "offset" WHERE topic = %(topic)s;
DELETE FROM tocsin_log WHERE topic = %(topic)s;
