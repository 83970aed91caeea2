-- Our triggers on the tables of this schema; those that partitions inherit are left out.
SELECT t.tgname, t.tgrelid::regclass::text, coalesce(obj_description(t.oid, 'pg_trigger'), ''),
       t.tgenabled IN ('O', 'A'), p.prosrc
  FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_class c ON c.oid = t.tgrelid
 WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND starts_with(t.tgname, %s)
   AND pg_table_is_visible(c.oid)
