-- Percent-encoding of a text, inside an expression. The length test is for U+0000.
CASE WHEN {{text}} NOT GLOB '*[^A-Za-z0-9_.~-]*' AND length(CAST({{text}} AS BLOB)) = length({{text}}) THEN {{text}}
 WHEN {{text}} IS NOT NULL THEN (
  WITH RECURSIVE e(i, s, h) AS (
    SELECT 1, '', hex(CAST({{text}} AS BLOB))
    UNION ALL
    SELECT i + 2, s || CASE WHEN instr({{hex}}, substr(h, i, 2)) > 0
      THEN substr({{unreserved}}, (instr({{hex}}, substr(h, i, 2)) + 2) / 3, 1)
      ELSE '%' || substr(h, i, 2) END, h FROM e WHERE i < length(h))
  SELECT s FROM e ORDER BY i DESC LIMIT 1) END
