-- Scopes put back what they changed: at their end, under an error caught by a subtransaction, under one that
-- nothing catches.
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_boundary_owner, regress_boundary_other;
RESET client_min_messages;
CREATE ROLE regress_boundary_owner;
CREATE ROLE regress_boundary_other;
GRANT USAGE ON SCHEMA boundary TO PUBLIC;
CREATE TABLE owned(id int);
-- What CatalogScope looks for.
CREATE SCHEMA privacy_scan AUTHORIZATION regress_boundary_other;
ALTER TABLE owned OWNER TO regress_boundary_owner;
SET search_path = public, boundary;
SET TimeZone = 'America/St_Johns';

SELECT scope, kind, boundary.scope(scope, 'owned', kind)
FROM unnest(ARRAY['owner', 'catalog', 'guc', 'memory', 'spi', 'relation', 'snapshot', 'subtransaction']) WITH ORDINALITY AS s(scope, n),
  unnest(ARRAY['none', 'ereport', 'error', 'sql doors']) WITH ORDINALITY AS k(kind, m)
ORDER BY n, m;

-- The same with nothing that catches: plpgsql's handler does.
SELECT scope, count(*) FILTER (WHERE r.message <> 'no error') AS errors, max(boundary.live()) AS live,
  bool_and(current_user = session_user AND current_setting('search_path') = 'public, boundary') AS put_back
FROM unnest(ARRAY['owner', 'catalog', 'guc', 'memory', 'spi', 'relation', 'snapshot', 'subtransaction',
    'open subtransaction']) WITH ORDINALITY AS s(scope, n),
  unnest(ARRAY['none', 'ereport', 'error', 'cancel', 'bad_alloc', 'foreign', 'sql doors']) kind,
  LATERAL boundary.report(format('SELECT boundary.escape(%L, ''owned'', %L)', scope, kind)) r
GROUP BY scope, n ORDER BY n;

-- And with no handler at all.
SELECT boundary.escape('owner', 'owned', 'foreign');
SELECT boundary.escape('owner', 'owned', 'ereport');
SELECT current_user = session_user AS same_role, current_setting('search_path'), current_setting('TimeZone');

-- An error of ours may be caught without a subtransaction: role and settings are back at once.
SELECT scope, kind, boundary.caught_error(scope, 'owned', kind)
FROM unnest(ARRAY['none', 'owner', 'catalog', 'guc', 'subtransaction']) scope,
  unnest(ARRAY['error', 'error through a guard']) kind;

-- Inside.
SELECT moment, replace(state, session_user, '(session)') FROM boundary.as_owner('owned');

-- A scope that fails while it begins: a setting that isn't valid, a deferred constraint that is violated.
SET boundary_test.lock_timeout = -1;
SELECT boundary.scope('owner', 'owned', 'none');
SELECT current_user = session_user AS same_role, current_setting('search_path'), current_setting('row_security');
RESET boundary_test.lock_timeout;
CREATE TABLE parent(id int PRIMARY KEY);
CREATE TABLE child(id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
BEGIN;
INSERT INTO child VALUES (1);
SELECT boundary.scope('owner', 'owned', 'none');
INSERT INTO parent VALUES (1);
SELECT boundary.scope('owner', 'owned', 'none');
COMMIT;
DROP TABLE child, parent;

-- Privileges: only the owner, and members of it.
SET ROLE regress_boundary_other;
SELECT boundary.scope('owner', 'owned', 'none');
RESET ROLE;
GRANT regress_boundary_owner TO regress_boundary_other;
SET ROLE regress_boundary_other;
SELECT boundary.scope('owner', 'owned', 'none');
SELECT boundary.scope('owner', 0, 'none');
RESET ROLE;

-- Relation and snapshot.
SELECT boundary.relation_of('owned'::regclass);
SELECT boundary.relation_of(0);

-- Commits: refused in another role, allowed around a memory scope; refused where the transaction is the
-- caller's, as a whole and before anything is done.
CALL boundary.commit_as('owned');
BEGIN;
CALL boundary.commit_as('owned');
ROLLBACK;
SELECT code, message FROM boundary.report('CALL boundary.commit_as(''owned'')');
SELECT boundary.live();

DROP TABLE owned;
DROP SCHEMA privacy_scan;
DROP ROLE regress_boundary_owner, regress_boundary_other;
