-- An id above that of every transaction which has one, and ended with this statement. A snapshot's own
-- xmax is not: it is one above the highest that has ended, and the newest transactions go beyond it.
SELECT pg_current_xact_id()::text
