SELECT t.value, coalesce(h.epoch, n.epoch, ''), coalesce(h."offset", 0)
  FROM json_each(%(topics)s) t
  LEFT JOIN tocsin_head h ON h.topic = t.value
  LEFT JOIN tocsin_namespace n ON h.topic IS NULL AND n.name =
       CASE WHEN instr(t.value, ':') > 0 THEN substr(t.value, 1, instr(t.value, ':') - 1)
            WHEN t.value = '!control' THEN t.value ELSE '' END
