-- AFTER ROW triggers of these tables that are neither ours nor a foreign key's.
SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
 WHERE c.relname = ANY (%s) AND pg_table_is_visible(c.oid) AND NOT t.tgisinternal
   AND t.tgtype & 1 = 1 AND t.tgtype & 66 = 0 AND NOT starts_with(t.tgname, '!tocsin')
 ORDER BY c.relname, t.tgname
