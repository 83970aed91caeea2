-- The body of the trigger function of one declaration and one model.
#variable_conflict use_column
DECLARE
  {{rows}}
  moved boolean := TG_OP <> 'UPDATE';
  topics_old text[] := '{}'; topics_new text[] := '{}';
  key_old text; key_new text; body text;
  gone text[] := '{}'; fresh text[] := '{}'; kept text[] := '{}';
  {{count_variables}}
BEGIN
  {{prepare}}
  IF TG_OP <> 'INSERT' THEN
    {{load_old}}
    topics_old := {{topics_old}};
    key_old := {{key_old}};
  END IF;
  IF TG_OP <> 'DELETE' THEN
    {{load_new}}
    topics_new := {{topics_new}};
    key_new := {{key_new}};
  END IF;
  IF NOT moved AND topics_new = topics_old AND key_new = key_old THEN
    IF {{unchanged}} THEN
      RETURN NULL;
    END IF;
    kept := topics_new;
  ELSIF NOT moved AND key_new = key_old THEN
    gone := ARRAY(SELECT unnest(topics_old) EXCEPT SELECT unnest(topics_new));
    fresh := ARRAY(SELECT unnest(topics_new) EXCEPT SELECT unnest(topics_old));
    kept := ARRAY(SELECT unnest(topics_new) INTERSECT SELECT unnest(topics_old));
  ELSIF NOT moved THEN
    moved := true;
    gone := topics_old;
    fresh := ARRAY(SELECT unnest(topics_new) EXCEPT SELECT unnest(topics_old));
    kept := ARRAY(SELECT unnest(topics_new) INTERSECT SELECT unnest(topics_old));
  ELSE
    gone := topics_old;
    fresh := topics_new;
  END IF;
  {{count}}
  IF gone <> '{}' AND {{deletes}} THEN
    INSERT INTO {{schema}}.tocsin_entry (topics, op, key, counts) VALUES (gone, 'd', key_old, {{counts_gone}});
  END IF;
  IF TG_OP = 'DELETE' OR (fresh = '{}' AND kept = '{}') THEN
    RETURN NULL;
  END IF;
  body := {{body}};
  IF octet_length(body) > {{bound}} THEN
    body := NULL;
  END IF;
  IF fresh <> '{}' AND {{inserts}} THEN
    INSERT INTO {{schema}}.tocsin_entry (topics, op, key, body, counts)
    VALUES (fresh, CASE WHEN body IS NULL THEN 'o' ELSE 'i' END, key_new, body::json, {{counts_fresh}});
  END IF;
  IF kept <> '{}' AND {{updates}} THEN
    INSERT INTO {{schema}}.tocsin_entry (topics, op, key, body, counts)
    VALUES (kept, CASE WHEN body IS NULL THEN 'o' ELSE 'u' END, key_new, body::json, {{counts_kept}});
  END IF;
  RETURN NULL;
END
