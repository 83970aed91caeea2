-- The highest number that a table's automatic key has given; no row: none yet. There is one key.
SELECT seq FROM sqlite_sequence WHERE name = %(table)s AND %(column)s <> ''
