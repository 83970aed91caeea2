-- the trigger has numbered them
SELECT coalesce(max("offset"), 0), NULL FROM tocsin_head WHERE topic = '!control'
