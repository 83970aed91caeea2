INSERT INTO tocsin_entry (topics, op, key, body)
SELECT topics, CASE WHEN octet_length(body) > {{bound}} THEN 'o' ELSE 'i' END, key,
       CASE WHEN octet_length(body) <= {{bound}} THEN body::json END
  FROM (SELECT {{topics}} AS topics, {{key}} AS key, {{body}} AS body FROM {{table}} AS m ORDER BY m.{{pk}}) r
 WHERE topics <> '{}'
