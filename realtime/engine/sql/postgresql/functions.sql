-- The functions that triggers share, and what the generated ones call.
CREATE OR REPLACE FUNCTION {{schema}}.tocsin_quote(value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $tocsin$
SELECT CASE WHEN translate(value, '{{unreserved}}', '') = '' THEN value ELSE (
  SELECT string_agg(CASE WHEN b < 128 AND position(chr(b) IN '{{unreserved}}') > 0 THEN chr(b)
                         ELSE '%' || upper(lpad(to_hex(b), 2, '0')) END, '' ORDER BY i)
    FROM (SELECT i, get_byte(v, i) b
            FROM (SELECT convert_to(value, 'UTF8') v) x, generate_series(0, octet_length(v) - 1) i) y) END
$tocsin$;

CREATE OR REPLACE FUNCTION {{schema}}.tocsin_wake() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $tocsin$
BEGIN
  -- the lock is the flag: taken exclusively by a relay that is asleep (correctness.md, section 6)
  IF NOT pg_try_advisory_xact_lock_shared(7067101) THEN
    PERFORM pg_notify('tocsin', '');
  END IF;
  RETURN NULL;
END
$tocsin$;

CREATE OR REPLACE FUNCTION {{schema}}.tocsin_truncated() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $tocsin$
BEGIN
  INSERT INTO {{schema}}.tocsin_entry (op, key) VALUES ('T', TG_ARGV[0]);
  RETURN NULL;
END
$tocsin$;

CREATE OR REPLACE FUNCTION {{schema}}.tocsin_revoked() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $tocsin$
BEGIN
  IF TG_OP <> 'TRUNCATE' THEN
    IF NOT EXISTS (SELECT FROM changed) THEN
      RETURN NULL;
    END IF;
  END IF;
  INSERT INTO {{schema}}.tocsin_entry (topics, op, body, control) VALUES ('{!control}', 'c', TG_ARGV[0]::json, true);
  RETURN NULL;
END
$tocsin$;

REVOKE EXECUTE ON FUNCTION {{schema}}.tocsin_quote(text), {{schema}}.tocsin_wake(),
  {{schema}}.tocsin_truncated(), {{schema}}.tocsin_revoked() FROM PUBLIC;
