-- The partition room as the catalog shows it, and what needs a second session or a broken set to be seen.
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
SET LOCAL search_path = public, pg_catalog;
SELECT plan(61);
DO $$ BEGIN PERFORM privacy_scan.health(); END $$; -- loads the library, which defines the settings


-- Objects.
CREATE TEMPORARY VIEW routines AS
SELECT p.oid, p.oid::regprocedure::text AS signature, p.proname, p.prokind, p.provolatile, p.prosecdef, p.proacl, p.proowner
FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'privacy_scan'
WHERE p.proname ~ 'partition|drain|maintenance|default_rows|key_|time_checks' AND p.proname !~ 'split|merge_|reshape';
SELECT set_eq('SELECT signature FROM routines', ARRAY[
  'privacy_scan.manage_partitions(regclass,name,interval,integer,text,boolean,timestamp with time zone,text)',
  'privacy_scan.manage_partitions(regclass,name,text,integer,text,boolean,text,text)',
  'privacy_scan.manage_partitions(regclass,name,bigint,integer,boolean,bigint)',
  'privacy_scan.unmanage_partitions(regclass)',
  'privacy_scan.set_partitions(regclass,integer,interval,bigint,boolean)',
  'privacy_scan.maintain_partitions(regclass,timestamp with time zone)',
  'privacy_scan.run_maintenance(regclass,timestamp with time zone)',
  'privacy_scan.ensure_partitions(regclass,timestamp with time zone,timestamp with time zone)',
  'privacy_scan.ensure_partitions(regclass,text,text)',
  'privacy_scan.ensure_partitions(regclass,bigint,bigint)',
  'privacy_scan.drain_default(regclass,integer)',
  'privacy_scan.run_drain(regclass,integer)',
  'privacy_scan.partition_bounds(regclass)',
  'privacy_scan.count_default_rows(regclass)',
  'privacy_scan.key_instant(text,text)',
  'privacy_scan.key_at(text,timestamp with time zone)',
  'privacy_scan.detect_key_kind(regclass,name,integer)',
  'privacy_scan.add_time_checks(regclass,name,interval,interval)',
  'privacy_scan.drop_time_checks(regclass)'], 'the routines are the ones that were reviewed');
SELECT is_empty($$SELECT signature FROM routines WHERE obj_description(oid, 'pg_proc') IS NULL$$, 'each routine has a comment');
SELECT is_empty($$SELECT signature FROM routines WHERE prosecdef$$, 'none is SECURITY DEFINER');
SELECT set_eq($$SELECT proname FROM routines WHERE prokind = 'f' AND provolatile <> 'v'$$, ARRAY['partition_bounds', 'count_default_rows', 'key_instant', 'key_at']::name[],
  'what reads is STABLE, what writes is VOLATILE');
SELECT set_eq($$SELECT proname FROM routines, aclexplode(coalesce(proacl, acldefault('f', proowner))) a WHERE a.grantee = 0$$,
  ARRAY['partition_bounds', 'count_default_rows', 'key_instant', 'key_at', 'detect_key_kind']::name[], 'PUBLIC may execute what reads, nothing that writes');
SELECT set_eq($$SELECT proname FROM routines WHERE prokind = 'p'$$, ARRAY['run_maintenance', 'run_drain', 'add_time_checks']::name[], 'three procedures');
SELECT has_table('privacy_scan', 'partition_policies', 'the policies are a table');
SELECT columns_are('privacy_scan', 'partition_policies', ARRAY['relation', 'every', 'step', 'premake', 'time_zone', 'default_partition', 'key_kind']);
SELECT col_is_pk('privacy_scan', 'partition_policies', 'relation', 'one policy a relation');
SELECT has_view('privacy_scan', 'partitions', 'view partitions');
SELECT columns_are('privacy_scan', 'partitions', ARRAY['parent', 'partition', 'lower_bound', 'upper_bound', 'lower_at', 'upper_at', 'state', 'rows', 'bytes']);
SELECT has_view('privacy_scan', 'partition_sets', 'view partition_sets');
SELECT columns_are('privacy_scan', 'partition_sets', ARRAY['relation', 'key_column', 'key_kind', 'every', 'step', 'premake', 'time_zone', 'default_partition', 'partitions', 'days_ahead', 'default_rows']);
SELECT has_composite('privacy_scan', 'partition_action', 'type partition_action');
SELECT is_empty($$SELECT c FROM unnest('{partition_policies,partitions,partition_sets,partition_action}'::text[]) c
  WHERE coalesce(obj_description(('privacy_scan.' || c)::regclass, 'pg_class'), obj_description(('privacy_scan.' || c)::regtype, 'pg_type')) IS NULL$$, 'each has a comment');
SELECT is((SELECT array_agg(c) FROM pg_extension, unnest(extconfig) c WHERE extname = 'privacy_scan' AND c = 'privacy_scan.partition_policies'::regclass),
  ARRAY['privacy_scan.partition_policies'::regclass::oid], 'pg_dump takes the policies along');
SELECT is_empty($$SELECT c FROM unnest('{partitions,partition_sets}'::text[]) c, pg_class r
  WHERE r.oid = ('privacy_scan.' || c)::regclass AND NOT coalesce(r.reloptions @> '{security_barrier=true}', false)$$, 'the views are security barriers');
SELECT results_eq($$SELECT name, context, setting FROM pg_settings WHERE name LIKE 'privacy\_scan.partition\_%' ORDER BY name$$,
  $$VALUES ('privacy_scan.partition_max_ahead', 'superuser', '1000'), ('privacy_scan.partition_max_created', 'superuser', '1000')$$, 'the caps are a superuser''s to set');

-- Privileges.
CREATE ROLE regress_ps_stranger;
GRANT USAGE ON SCHEMA public TO regress_ps_stranger;
SELECT is((SELECT count(*) FROM routines WHERE has_function_privilege('regress_ps_stranger', oid, 'EXECUTE')), 5::bigint, 'a stranger may execute five');
SELECT table_privs_are('privacy_scan', 'partition_policies', 'regress_ps_stranger', '{}'::name[], 'and read no policy');
SET LOCAL ROLE regress_ps_stranger;
SELECT throws_ok($$SELECT privacy_scan.maintain_partitions()$$, '42501', NULL, 'maintain_partitions() is refused to him');
SELECT throws_ok($$SET privacy_scan.partition_max_created = 1$$, '42501', NULL, 'so is a cap');
SELECT lives_ok($$SET privacy_scan.lock_timeout = '100ms'$$, 'how long to wait is his own affair');
RESET ROLE;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan TO regress_ps_stranger;

-- A second session, which holds a table against everybody.
CREATE FUNCTION connect_other() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  CREATE EXTENSION IF NOT EXISTS dblink;
  PERFORM dblink_connect('other', format('dbname=%L host=%L port=%s user=%L', current_database(),
    trim(split_part(current_setting('unix_socket_directories'), ',', 1)), current_setting('port'), session_user));
  PERFORM dblink_exec('other', 'DROP TABLE IF EXISTS public.regress_ps_locked');
  PERFORM dblink_exec('other', 'CREATE TABLE public.regress_ps_locked (id int NOT NULL) PARTITION BY RANGE (id)');
  PERFORM dblink_exec('other', 'BEGIN');
  PERFORM dblink_exec('other', 'LOCK TABLE public.regress_ps_locked IN ACCESS EXCLUSIVE MODE');
  INSERT INTO privacy_scan.partition_policies VALUES ('public.regress_ps_locked', NULL, 10, 1, 'UTC', true);
  RETURN 'connected';
EXCEPTION WHEN OTHERS THEN RETURN 'no second session: ' || SQLERRM;
END $$;
CREATE TABLE pg_temp.other AS SELECT connect_other() AS state;
GRANT SELECT ON pg_temp.other TO PUBLIC;
CREATE FUNCTION with_other(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT state FROM pg_temp.other) = 'connected' THEN RETURN QUERY EXECUTE statement;
  ELSE RETURN NEXT skip((SELECT state FROM pg_temp.other), 1);
  END IF;
END $$;
SET LOCAL privacy_scan.lock_timeout = '10ms';
SET LOCAL privacy_scan.lock_attempts = 2;
-- He is refused for what he is, and not after a wait for the lock.
SET LOCAL ROLE regress_ps_stranger;
SELECT with_other(format('SELECT throws_ok(%L, ''42501'', NULL, %L)', 'SELECT privacy_scan.' || call, 'not the owner, no lock: ' || call))
FROM unnest(ARRAY[$$manage_partitions('public.regress_ps_locked', 'id', 10)$$, $$manage_partitions('public.regress_ps_locked', 'id', '1 day', start => '2020-01-01')$$,
  $$unmanage_partitions('public.regress_ps_locked')$$, $$set_partitions('public.regress_ps_locked', 1)$$, $$maintain_partitions('public.regress_ps_locked')$$,
  $$ensure_partitions('public.regress_ps_locked', 1, 2)$$, $$ensure_partitions('public.regress_ps_locked', '2020-01-01', '2020-02-01')$$,
  $$drain_default('public.regress_ps_locked')$$, $$partition_bounds('public.regress_ps_locked')$$, $$count_default_rows('public.regress_ps_locked')$$]) call;
RESET ROLE;
-- The owner waits shortly, and hears who holds it.
SELECT with_other(format('SELECT throws_ok(%L, ''55P03'', NULL, %L)', 'SELECT privacy_scan.' || call, 'held by another: ' || call))
FROM unnest(ARRAY[$$set_partitions('public.regress_ps_locked', 1)$$, $$maintain_partitions('public.regress_ps_locked')$$,
  $$ensure_partitions('public.regress_ps_locked', 1, 2)$$, $$drain_default('public.regress_ps_locked')$$]) call;

-- All sets at once: those that fail are rows, the others go on.
CREATE SCHEMA regress_ps;
CREATE TABLE regress_ps.good (id int NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE regress_ps.broken (id int NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE regress_ps.stuck (id int NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE regress_ps.stuck_default PARTITION OF regress_ps.stuck DEFAULT PARTITION BY LIST (id);
CREATE TABLE regress_ps.stuck_default_1 PARTITION OF regress_ps.stuck_default DEFAULT;
SELECT lives_ok($$SELECT privacy_scan.manage_partitions('regress_ps.$$ || t || $$', 'id', 10, premake => 1)$$, 'managed: ' || t) FROM unnest('{good,broken,stuck}'::text[]) t;
INSERT INTO regress_ps.good VALUES (15);
INSERT INTO regress_ps.broken VALUES (15);
INSERT INTO regress_ps.stuck VALUES (15), (500);
ALTER TABLE regress_ps.broken ALTER id DROP NOT NULL;
CREATE TABLE pg_temp.done AS SELECT * FROM privacy_scan.maintain_partitions() WHERE relation::text ~ 'regress_ps';
SELECT results_eq($$SELECT partition, action FROM pg_temp.done WHERE relation = 'regress_ps.good'::regclass$$, $$VALUES ('"regress_ps"."good_20"', 'created')$$, 'a good set is maintained');
SELECT results_eq($$SELECT action, sqlstate FROM pg_temp.done WHERE relation = 'regress_ps.broken'::regclass$$, $$VALUES ('failed', '42P16')$$, 'a broken one is a row');
SELECT matches((SELECT message FROM pg_temp.done WHERE relation = 'regress_ps.broken'::regclass), 'SET NOT NULL', 'that says what to do');
SELECT bag_eq($$SELECT action, sqlstate FROM pg_temp.done WHERE relation = 'regress_ps.stuck'::regclass$$, $$VALUES ('created', NULL), ('failed', '0A000')$$,
  'where draining fails, what was created stays');
SELECT has_table('regress_ps', 'stuck_20', 'and is there');
SELECT with_other($$SELECT results_eq('SELECT action, sqlstate FROM pg_temp.done WHERE relation::text LIKE ''%locked''', 'VALUES (''failed'', ''55P03'')', 'a locked one is a row')$$);
SELECT with_other($$SELECT matches((SELECT message FROM pg_temp.done WHERE relation::text LIKE '%locked'), 'held by pid [0-9]+', 'that says who holds it')$$);
SELECT is((SELECT count(*) FROM pg_temp.done), 5::bigint - (SELECT count(*) FROM pg_temp.other WHERE state <> 'connected'), 'and no row more');
SELECT is_empty($$SELECT FROM privacy_scan.maintain_partitions('regress_ps.good')$$, 'nothing to do: no row');

-- Only the caller's own sets; a member of the owner is as good as the owner.
ALTER TABLE regress_ps.good OWNER TO regress_ps_stranger;
INSERT INTO regress_ps.good VALUES (25);
SET LOCAL ROLE regress_ps_stranger;
SELECT results_eq('SELECT DISTINCT relation::text FROM privacy_scan.maintain_partitions()', $$VALUES ('regress_ps.good')$$, 'all sets are the caller''s own');
RESET ROLE;

-- A reader sees, a stranger doesn't.
CREATE ROLE regress_ps_reader;
GRANT USAGE ON SCHEMA regress_ps TO regress_ps_reader;
GRANT SELECT ON regress_ps.broken TO regress_ps_reader;
SET LOCAL ROLE regress_ps_reader;
SELECT results_eq('SELECT relation::text FROM privacy_scan.partition_sets', $$VALUES ('regress_ps.broken')$$, 'a reader sees what he may read');
RESET ROLE;

-- What a column's ids look like is told to who may read them, as he sees them.
CREATE TABLE regress_ps.ids (id text, at timestamptz);
-- Some are of another kind, as many in each page: a sample is of few pages.
INSERT INTO regress_ps.ids SELECT CASE WHEN n % 30 = 0 THEN 'tz4a98xxat96iws9zmbrgj3a' ELSE privacy_scan.key_at('cuid', d) || '0000abcdabcdabcd' END, d
  FROM generate_series(timestamptz '2025-01-01', '2025-12-31', '1 hour') WITH ORDINALITY AS g(d, n);
CREATE TABLE pg_temp.found AS SELECT * FROM privacy_scan.detect_key_kind('regress_ps.ids', 'id', 100000);
SELECT results_eq('SELECT key_kind, round(share::numeric, 2), oldest, newest FROM pg_temp.found',
  $$SELECT 'cuid', round(count(*) FILTER (WHERE id LIKE 'c%')::numeric / count(*), 2), min(at) FILTER (WHERE id LIKE 'c%'), max(at) FILTER (WHERE id LIKE 'c%') FROM regress_ps.ids$$,
  'the whole table as a sample: exact');
ANALYZE regress_ps.ids;
SELECT is((SELECT array_agg(key_kind) FROM privacy_scan.detect_key_kind('regress_ps.ids', 'id', 100)), ARRAY['cuid'], 'a sample of a larger table');
SELECT is((SELECT count(*) FROM privacy_scan.detect_key_kind('regress_ps.ids', 'at')), 0::bigint, 'a time is no id');
SET LOCAL ROLE regress_ps_reader;
SELECT throws_ok($$SELECT privacy_scan.detect_key_kind('regress_ps.ids', 'id')$$, '42501', NULL, 'not without the right to read');
RESET ROLE;
GRANT SELECT (id) ON regress_ps.ids TO regress_ps_reader;
ALTER TABLE regress_ps.ids ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON regress_ps.ids TO regress_ps_reader USING (id NOT LIKE 'c%');
SET LOCAL ROLE regress_ps_reader;
SELECT is_empty($$SELECT * FROM privacy_scan.detect_key_kind('regress_ps.ids', 'id')$$, 'with it, of the rows that he sees');
RESET ROLE;

-- The policy goes with the table.
SELECT is(privacy_scan.unmanage_partitions('regress_ps.broken'), true, 'unmanage_partitions() forgets');
SELECT is(privacy_scan.unmanage_partitions('regress_ps.broken'), false, 'once');
DROP TABLE regress_ps.stuck;
SELECT lives_ok('SELECT privacy_scan.maintain_partitions()', 'a dropped table is no failure');
SELECT is_empty('SELECT relation FROM privacy_scan.partition_policies p WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = p.relation)', 'it is forgotten');

SELECT with_other($$SELECT ok(dblink_exec('other', 'ROLLBACK') || dblink_exec('other', 'DROP TABLE public.regress_ps_locked') || dblink_disconnect('other') IS NOT NULL, 'the second session leaves nothing')$$);
SELECT * FROM finish();
ROLLBACK;
