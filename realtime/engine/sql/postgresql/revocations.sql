-- A row, and one more for each that is committed and not numbered yet; E asks for new epochs.
SELECT h."offset", e.id
  FROM (SELECT coalesce(max("offset"), 0) AS "offset" FROM tocsin_head WHERE topic = '!control') h
  LEFT JOIN tocsin_entry e ON e.control AND e.op <> 'E'
