-- The body of a function that tells the hubs whose rights may have changed (correctness.md, section 7).
#variable_conflict use_column
DECLARE
  {{rows}}
  subject_old text; subject_new text;
BEGIN
  IF TG_OP <> 'INSERT' THEN
    {{load_old}}
    subject_old := {{subject_old}};
  END IF;
  IF TG_OP <> 'DELETE' THEN
    {{load_new}}
    subject_new := {{subject_new}};
  END IF;
  IF TG_OP = 'UPDATE' THEN
    IF {{unchanged}} THEN
      RETURN NULL;
    END IF;
  END IF;
  INSERT INTO {{schema}}.tocsin_entry (topics, op, body, control)
  SELECT '{!control}', 'c', json_build_object('kind', {{kind}}, {{kind}}, s), true
    FROM (SELECT subject_old AS s UNION SELECT subject_new) subjects WHERE s IS NOT NULL;
  RETURN NULL;
END
