-- The retention room as the catalog shows it: shapes, comments, who may do and see what, and privileges before locks.
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
SET LOCAL search_path = public, pg_catalog;
SELECT plan(68);
DO $$ BEGIN PERFORM privacy_scan.health(); END $$; -- loads the library, which defines the settings

-- Objects.
CREATE TEMPORARY VIEW routines AS
SELECT p.oid, p.oid::regprocedure::text AS signature, p.proname, p.prokind, p.provolatile, p.proparallel, p.prosecdef, p.proacl, p.proowner
FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'privacy_scan'
WHERE p.proname ~ 'retention|digest|cleanup|hold|archive|_file$|_plan$';
GRANT SELECT ON routines TO PUBLIC;
SELECT set_eq('SELECT signature FROM routines', ARRAY[
  'privacy_scan.set_retention(regclass,interval,name,text,text,name,text,text,interval,boolean)',
  'privacy_scan.drop_retention(regclass)',
  'privacy_scan.plan_retention(regclass,timestamp with time zone)',
  'privacy_scan.apply_retention(regclass,timestamp with time zone,bigint,boolean)',
  'privacy_scan.run_retention(regclass,timestamp with time zone,bigint,boolean,boolean)',
  'privacy_scan.cleanup_old_scans(integer)',
  'privacy_scan.make_plan(regclass,timestamp with time zone,interval)',
  'privacy_scan.apply_plan(bigint,boolean,boolean)',
  'privacy_scan.hold(regclass,text,text,timestamp with time zone)',
  'privacy_scan.hold(regclass,text[],text,timestamp with time zone)',
  'privacy_scan.release_hold(bigint)',
  'privacy_scan.verify_archive(bigint)',
  'privacy_scan.check_archives()',
  'privacy_scan.export_archive(bigint)',
  'privacy_scan.confirm_archive(bigint,text)',
  'privacy_scan.export_archives(regclass)',
  'privacy_scan.restore_file(bigint,regclass,text)',
  'privacy_scan.drill_archive(bigint)',
  'privacy_scan.restore_archive(bigint,regclass,text[],text,text)',
  'privacy_scan.restore_archive(regclass,text[])',
  'privacy_scan.restore_archive(regclass,text)',
  'privacy_scan.archived_rows(anyelement,text)',
  'privacy_scan.archived_rows_query(regclass,text)',
  'privacy_scan.row_digest(record)',
  'privacy_scan.row_digest_add(internal,record)',
  'privacy_scan.row_digest_result(internal)',
  'privacy_scan.row_digest_combine(internal,internal)',
  'privacy_scan.row_digest_serialize(internal)',
  'privacy_scan.row_digest_deserialize(bytea,internal)'], 'the routines are the ones that were reviewed');
SELECT is_empty($$SELECT signature FROM routines WHERE obj_description(oid, 'pg_proc') IS NULL$$, 'each routine has a comment');
SELECT is_empty($$SELECT signature FROM routines WHERE prosecdef$$, 'none is SECURITY DEFINER');
SELECT is_empty($$SELECT signature FROM routines WHERE proname !~ 'digest|archived_rows' AND (provolatile <> 'v' OR proparallel <> 'u')$$, 'what works on relations is VOLATILE and PARALLEL UNSAFE');
SELECT is_empty($$SELECT signature FROM routines WHERE proname ~ 'archived_rows' AND (provolatile <> 's' OR proparallel <> 'u')$$, 'what reads them is STABLE: one snapshot with the query around it');
SELECT is_empty($$SELECT signature FROM routines WHERE proname ~ 'digest' AND (provolatile <> 'i' OR proparallel <> 's')$$, 'the digest is IMMUTABLE and PARALLEL SAFE');
SELECT is_empty($$SELECT signature FROM routines, aclexplode(coalesce(proacl, acldefault('f', proowner))) a WHERE a.grantee = 0 AND proname !~ 'digest'$$,
  'PUBLIC executes nothing but the digest');
SELECT set_eq($$SELECT proname FROM routines WHERE prokind = 'p'$$, ARRAY['run_retention', 'apply_plan', 'export_archives']::name[], 'three procedures');
SELECT is_aggregate('privacy_scan', 'row_digest', ARRAY['record'], 'row_digest() is an aggregate');
SELECT function_returns('privacy_scan', 'cleanup_old_scans', ARRAY['integer'], 'integer', 'cleanup_old_scans() returns a number');
SELECT function_returns('privacy_scan', 'set_retention', ARRAY['regclass', 'interval', 'name', 'text', 'text', 'name', 'text', 'text', 'interval', 'boolean'], 'text', 'set_retention() returns words');
SELECT function_returns('privacy_scan', 'drop_retention', ARRAY['regclass'], 'boolean', 'drop_retention() returns whether');
SELECT function_returns('privacy_scan', f, a, 'setof privacy_scan.retention_action', f || '() returns actions')
FROM (VALUES ('plan_retention', ARRAY['regclass', 'timestamp with time zone']), ('apply_retention', ARRAY['regclass', 'timestamp with time zone', 'bigint', 'boolean'])) v(f, a);
SELECT is((SELECT array_agg(attname || ' ' || format_type(atttypid, NULL) ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'privacy_scan.retention_action'::regclass),
  '{relation regclass,action text,target text,rows bigint,bytes bigint,lock text,key_from text,key_to text,reason text,milliseconds double precision}', 'an action''s columns');
SELECT is((SELECT array_agg(attname || ' ' || format_type(atttypid, NULL) ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'privacy_scan.row_set'::regclass),
  '{rows bigint,bytes bigint,digest text}', 'a row set''s columns');
SELECT columns_are('privacy_scan', 'retention_rules', ARRAY['root', 'key_column', 'keep', 'condition', 'archive_schema', 'key_kind', 'archive', 'remove_after', 'grace', 'set_at']);
SELECT col_is_pk('privacy_scan', 'retention_rules', 'root', 'one policy a root');
SELECT columns_are('privacy_scan', 'archive_ledger', ARRAY['id', 'archived_at', 'root', 'relation', 'root_name', 'source', 'target', 'rows', 'bytes', 'digest', 'key_from', 'key_to', 'cutoff', 'leaf', 'action', 'bounds', 'key']);
SELECT columns_are('privacy_scan', 'retention_plans', ARRAY['id', 'root', 'made_at', 'made_by', 'at', 'cutoff', 'valid_until', 'state', 'rows', 'policy', 'holds', 'applied_at', 'applied_by', 'ended_at', 'detail']);
SELECT columns_are('privacy_scan', 'plan_actions', ARRAY['plan', 'place', 'relation', 'action', 'target', 'rows', 'bytes', 'key_from', 'key_to', 'reason']);
SELECT columns_are('privacy_scan', 'detached_leaves', ARRAY['id', 'root', 'relation', 'archive', 'leaf', 'rows', 'detached_at', 'drop_after']);
SELECT columns_are('privacy_scan', 'archive_drills', ARRAY['id', 'drilled_at', 'archive_id', 'archive', 'leaf', 'place', 'rows', 'found_rows', 'state', 'detail', 'milliseconds']);
SELECT col_is_pk('privacy_scan', 'archive_ledger', 'id', 'the ledger is numbered');
SELECT is_empty($$SELECT attname FROM pg_attribute WHERE attrelid = 'privacy_scan.archive_ledger'::regclass AND attnum > 0 AND NOT attnotnull
  AND attname NOT IN ('rows', 'bytes', 'digest')$$, 'the ledger has no blanks, but for what is not counted yet');
SELECT columns_are('privacy_scan', 'retention_policies', ARRAY['root', 'key', 'keep', 'condition', 'archive', 'archive_schema', 'key_kind', 'remove_after', 'grace']);
SELECT columns_are('privacy_scan', 'archives', ARRAY['id', 'archived_at', 'root', 'relation', 'archive', 'rows', 'bytes', 'digest', 'key_from', 'key_to', 'cutoff', 'leaf', 'action', 'state', 'state_since', 'checked_at', 'file', 'place']);
SELECT columns_are('privacy_scan', 'holds', ARRAY['id', 'root', 'condition', 'reason', 'until', 'held_at', 'held_by', 'released_at', 'released_by', 'in_force']);
SELECT columns_are('privacy_scan', 'hold_ledger', ARRAY['id', 'root', 'condition', 'reason', 'until', 'held_at', 'held_by', 'released_at', 'released_by']);
SELECT columns_are('privacy_scan', 'archive_checks', ARRAY['target', 'leaf', 'state', 'since', 'checked_at', 'detail']);
SELECT is_empty($$SELECT c FROM unnest('{retention_policies,archives,archive_balances,archive_files,archive_drills,detached_leaves,retention_plans,plan_actions,holds}'::text[]) c, pg_class r
  WHERE r.oid = ('privacy_scan.' || c)::regclass AND NOT coalesce(r.reloptions @> '{security_barrier=true}', false)$$, 'the views are security barriers');
SELECT is_empty($$SELECT c FROM unnest('{hold_ledger,holds,archive_checks,archive_windows,archive_file_ledger,archive_files,archive_drill_log,archive_drills,detached_tables,detached_leaves,archive_balances,plan_ledger,plan_action_list,retention_plans,plan_actions,retention_rules,archive_ledger,retention_policies,archives,retention_action,row_set}'::text[]) c
  WHERE coalesce(obj_description(('privacy_scan.' || c)::regclass, 'pg_class'), obj_description(to_regtype('privacy_scan.' || c), 'pg_type')) IS NULL$$, 'each has a comment');
SELECT set_has($$SELECT c::regclass::text FROM pg_extension, unnest(extconfig) c WHERE extname = 'privacy_scan'$$,
  $$VALUES ('privacy_scan.hold_ledger'), ('privacy_scan.hold_ledger_id_seq'), ('privacy_scan.archive_checks'), ('privacy_scan.archive_windows'), ('privacy_scan.archive_windows_id_seq'), ('privacy_scan.archive_file_ledger'), ('privacy_scan.archive_drill_log'), ('privacy_scan.detached_tables'), ('privacy_scan.plan_ledger'), ('privacy_scan.plan_action_list'), ('privacy_scan.archive_drill_log_id_seq'), ('privacy_scan.retention_rules'), ('privacy_scan.archive_ledger'), ('privacy_scan.archive_ledger_id_seq')$$, 'pg_dump takes policies and ledger along');
SELECT results_eq($$SELECT name, context, setting FROM pg_settings WHERE name ~ '^privacy_scan.(retention|archive)_' ORDER BY name$$,
  $$VALUES ('privacy_scan.archive_directory', 'superuser', ''), ('privacy_scan.archive_drill_size', 'superuser', '1048576'), ('privacy_scan.archive_level', 'user', '1'),
    ('privacy_scan.archive_sample', 'superuser', '10'), ('privacy_scan.retention_batch_rows', 'user', '50000'), ('privacy_scan.retention_keep_partitions', 'superuser', '2'),
    ('privacy_scan.retention_quiet_days', 'superuser', '31'), ('privacy_scan.retention_run_rows', 'user', '0'),
    ('privacy_scan.retention_vacuum_percent', 'user', '2'), ('privacy_scan.retention_whole_rows', 'user', '10000')$$, 'its settings');

-- Who sees what: an owner, a reader of the source, a stranger.
CREATE ROLE regress_ret_owner;
CREATE ROLE regress_ret_reader;
CREATE ROLE regress_ret_stranger;
GRANT USAGE ON SCHEMA public TO regress_ret_owner, regress_ret_reader, regress_ret_stranger;
CREATE SCHEMA regress_ret AUTHORIZATION regress_ret_owner;
CREATE TABLE regress_ret.scan (id int PRIMARY KEY, secret text, at timestamp);
CREATE TABLE regress_ret.evidence (scan int REFERENCES regress_ret.scan ON DELETE CASCADE);
ALTER TABLE regress_ret.scan OWNER TO regress_ret_owner;
ALTER TABLE regress_ret.evidence OWNER TO regress_ret_owner;
GRANT USAGE ON SCHEMA regress_ret TO regress_ret_reader, regress_ret_stranger;
GRANT SELECT ON regress_ret.scan TO regress_ret_reader;
INSERT INTO regress_ret.scan VALUES (1, 's', '2020-01-01'), (2, 's', '2100-01-01');
INSERT INTO regress_ret.evidence SELECT id FROM regress_ret.scan;
SELECT matches(privacy_scan.set_retention('regress_ret.scan', '1 year', 'at', 'secret = ''s'''), '^"regress_ret"."scan" is kept for .*1 year by "at"', 'a policy in words');
SELECT results_eq($$SELECT relation::text, rows FROM privacy_scan.apply_retention('regress_ret.scan', dry_run => false)$$,
  $$VALUES ('regress_ret.evidence', 1::bigint), ('regress_ret.scan', 1)$$, 'a run');
CREATE FUNCTION pg_temp.seen(what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE n text;
BEGIN
  EXECUTE format('SELECT string_agg(x, '','' ORDER BY x) FROM (SELECT %s) v(x)',
    CASE what WHEN 'archives' THEN 'relation FROM privacy_scan.archives WHERE relation LIKE ''"regress_ret"%''' ELSE 'root::text FROM privacy_scan.retention_policies WHERE root::text LIKE ''regress_ret%''' END) INTO n;
  RETURN coalesce(n, 'nothing');
END $$;
SELECT is(pg_temp.seen('archives'), '"regress_ret"."evidence","regress_ret"."scan"', 'a superuser sees the ledger');
SET LOCAL ROLE regress_ret_owner;
SELECT is(pg_temp.seen('archives'), '"regress_ret"."evidence","regress_ret"."scan"', 'the owner sees the ledger');
SELECT is(pg_temp.seen('policies'), 'regress_ret.scan', 'and the policy');
SET LOCAL ROLE regress_ret_reader;
SELECT is(pg_temp.seen('archives'), '"regress_ret"."scan"', 'a reader sees the rows of what it may read');
SELECT is(pg_temp.seen('policies'), 'regress_ret.scan', 'and the policy');
SELECT throws_ok('SELECT FROM regress_ret_archive.scan_archive', '42501', NULL, 'but not the archive');
SET LOCAL ROLE regress_ret_stranger;
SELECT is(pg_temp.seen('archives'), 'nothing', 'a stranger sees nothing of the ledger');
SELECT is(pg_temp.seen('policies'), 'nothing', 'nor of the policies');
CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$BEGIN RAISE EXCEPTION 'leaked %', $1; END$$;
SELECT lives_ok('SELECT FROM privacy_scan.archives WHERE pg_temp.leak(digest)', 'not even through a function that tells');
SELECT throws_ok('SELECT FROM privacy_scan.archive_ledger', '42501', NULL, 'not the tables');
SELECT throws_ok('SELECT FROM privacy_scan.retention_rules', '42501', NULL, 'nor those');
SELECT throws_ok('DELETE FROM privacy_scan.archives', NULL, NULL, 'and writes none');
RESET ROLE;

-- Privileges come before locks.
SELECT is_empty(format('SELECT FROM routines WHERE proname !~ %L AND has_function_privilege(%L, oid, %L)', 'digest', 'regress_ret_stranger', 'EXECUTE'), 'a stranger may execute nothing that works on relations');
SET LOCAL ROLE regress_ret_stranger;
SELECT throws_ok('SELECT privacy_scan.' || call, '42501', NULL, 'no EXECUTE: ' || call)
FROM unnest(ARRAY[$$set_retention('regress_ret.scan', '1 day', 'at')$$, $$plan_retention('regress_ret.scan')$$, $$apply_retention('regress_ret.scan')$$, $$cleanup_old_scans()$$]) call;
RESET ROLE;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA privacy_scan TO regress_ret_stranger;
-- A second session, which holds a root and its child against everybody.
CREATE FUNCTION connect_other() RETURNS text LANGUAGE plpgsql AS $$
DECLARE statement text;
BEGIN
  CREATE EXTENSION IF NOT EXISTS dblink;
  PERFORM dblink_connect('other', format('dbname=%L host=%L port=%s user=%L', current_database(),
    trim(split_part(current_setting('unix_socket_directories'), ',', 1)), current_setting('port'), session_user));
  FOREACH statement IN ARRAY ARRAY['DROP TABLE IF EXISTS public."Scan" CASCADE', 'DROP TABLE IF EXISTS public.regress_ret_child',
    'CREATE TABLE public."Scan" (id int PRIMARY KEY, status text, "createdAt" timestamp)', 'CREATE TABLE public.regress_ret_child (id int REFERENCES public."Scan")',
    'BEGIN', 'LOCK TABLE public."Scan", public.regress_ret_child IN ACCESS EXCLUSIVE MODE'] LOOP
    PERFORM dblink_exec('other', statement);
  END LOOP;
  INSERT INTO privacy_scan.retention_rules VALUES ('public."Scan"', 'createdAt', '1 year');
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
SET LOCAL ROLE regress_ret_stranger;
SELECT with_other(format('SELECT throws_ok(%L, ''42501'', NULL, %L)', 'SELECT privacy_scan.' || call, 'not the owner, no lock: ' || call))
FROM unnest(ARRAY[$$set_retention('public."Scan"', '1 day', 'createdAt')$$, $$drop_retention('public."Scan"')$$, $$plan_retention('public."Scan"')$$,
  $$apply_retention('public."Scan"', dry_run => false)$$, $$cleanup_old_scans()$$]) call;
RESET ROLE;
SELECT with_other(format('SELECT throws_ok(%L, ''55P03'', NULL, %L)', 'SELECT privacy_scan.' || call, 'the owner waits shortly: ' || call))
FROM unnest(ARRAY[$$set_retention('public."Scan"', '1 day', 'createdAt', 'true')$$, $$plan_retention('public."Scan"')$$, $$apply_retention('public."Scan"', dry_run => false)$$, $$cleanup_old_scans()$$]) call;
SELECT with_other($$SELECT ok(dblink_exec('other', 'ROLLBACK') || dblink_exec('other', 'DROP TABLE public."Scan", public.regress_ret_child') || dblink_disconnect('other') IS NOT NULL,
  'the second session leaves nothing')$$);

-- A member of the owner is as good as the owner, and everything goes with the owner's rights.
GRANT regress_ret_owner TO regress_ret_stranger;
INSERT INTO regress_ret.scan VALUES (3, 's', '2020-01-01');
SET LOCAL ROLE regress_ret_stranger;
SELECT results_eq($$SELECT rows FROM privacy_scan.apply_retention('regress_ret.scan', dry_run => false) WHERE relation = 'regress_ret.scan'::regclass$$, ARRAY[1::bigint], 'a member of the owner runs it');
RESET ROLE;
SELECT table_owner_is('regress_ret_archive', 'scan_archive', 'regress_ret_owner', 'the archive is the owner''s');
SELECT schema_owner_is('regress_ret_archive', 'regress_ret_owner', 'and so is its schema');
SELECT table_privs_are('regress_ret_archive', 'scan_archive', 'regress_ret_reader', '{}'::name[], 'nobody else has rights in it');
SELECT results_eq('SELECT id, secret FROM regress_ret_archive.scan_archive ORDER BY id', $$VALUES (1, 's'), (3, 's')$$, 'and it holds the rows');
SELECT * FROM finish();
ROLLBACK;
