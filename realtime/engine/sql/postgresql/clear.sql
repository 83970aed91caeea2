-- All that is kept of a topic goes; the floor rises in the same statement, as in trim.sql.
WITH gone AS (DELETE FROM tocsin_log WHERE topic = %(topic)s RETURNING "offset")
UPDATE tocsin_head SET floor = greatest(floor, (SELECT max("offset") FROM gone)) WHERE topic = %(topic)s;
