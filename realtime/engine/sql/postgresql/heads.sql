SELECT t.topic, coalesce(h.epoch, n.epoch, ''), coalesce(h."offset", 0)
  FROM (SELECT unnest(%(topics)s::text[]) COLLATE "C" AS topic) t
  LEFT JOIN tocsin_head h ON h.topic = t.topic
  LEFT JOIN tocsin_namespace n ON h.topic IS NULL AND n.name =
       CASE WHEN strpos(t.topic, ':') > 0 THEN split_part(t.topic, ':', 1)
            WHEN t.topic = '!control' THEN t.topic ELSE '' END
