SELECT p.proname, p.oid::regprocedure::text, p.prosrc FROM pg_proc p
 WHERE p.pronamespace = %s::regnamespace AND starts_with(p.proname, 'tocsin_') ORDER BY p.proname
