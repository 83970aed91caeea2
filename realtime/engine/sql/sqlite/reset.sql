-- Begin a namespace anew; `{{namespace}}` is a literal, `{{epoch}}` its new epoch.
DELETE FROM tocsin_log WHERE CASE WHEN instr(topic, ':') > 0 THEN substr(topic, 1, instr(topic, ':') - 1) WHEN topic = '!control' THEN topic ELSE '' END = {{namespace}};
DELETE FROM tocsin_head WHERE CASE WHEN instr(topic, ':') > 0 THEN substr(topic, 1, instr(topic, ':') - 1) WHEN topic = '!control' THEN topic ELSE '' END = {{namespace}};
UPDATE tocsin_namespace SET epoch = {{epoch}} WHERE name = {{namespace}};
