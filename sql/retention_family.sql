-- What belongs to a family: every shape of foreign key, and that live rows and archived ones are what was there.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ret_family;
CREATE SCHEMA ret_family_before;
CREATE SCHEMA ret_ext;
CREATE EXTENSION citext SCHEMA ret_ext;
SET search_path = ret_family, ret_ext;

-- Copies tables as they are.
CREATE FUNCTION remember(VARIADIC tables regclass[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE t regclass;
BEGIN
  FOREACH t IN ARRAY tables LOOP
    EXECUTE format('CREATE TABLE ret_family_before.%I AS SELECT * FROM %s', (SELECT relname FROM pg_class WHERE oid = t), t);
  END LOOP;
END $$;
-- Plans, archives all that has expired by 2025, and gives the rows in which plan and run differ; then for each remembered table what is
-- live, what is archived, and how many rows are not as they were.
CREATE FUNCTION archived(root regclass, at timestamptz DEFAULT '2025-01-01 00:00+00') RETURNS TABLE (relation text, live bigint, archived bigint, wrong bigint)
LANGUAGE plpgsql AS $$
DECLARE
  t record;
  now_ text;
BEGIN
  CREATE TEMP TABLE plan AS SELECT p.relation, action, target, rows, lock, key_from, key_to, reason FROM privacy_scan.plan_retention(root, archived.at) p;
  CREATE TEMP TABLE run AS SELECT p.relation, action, target, rows, lock, key_from, key_to, reason
    FROM privacy_scan.apply_retention(root, archived.at, 1000000, false) p;
  FOR t IN (SELECT 'planned' AS what, p.* FROM (TABLE plan EXCEPT TABLE run) p) UNION ALL (SELECT 'done', p.* FROM (TABLE run EXCEPT TABLE plan) p) LOOP
    relation := t::text;
    RETURN NEXT;
  END LOOP;
  FOR t IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'ret_family_before'::regnamespace AND c.relkind = 'r' ORDER BY 1 LOOP
    relation := t.relname;
    now_ := format('SELECT x::text FROM ret_family.%I x', t.relname);
    EXECUTE format('SELECT count(*) FROM (%s) n', now_) INTO live;
    archived := 0;
    IF to_regclass(format('ret_family_archive.%I', t.relname || '_archive')) IS NOT NULL THEN
      now_ := now_ || format(' UNION ALL SELECT x::text FROM ret_family_archive.%I x', t.relname || '_archive');
      EXECUTE format('SELECT count(*) FROM ret_family_archive.%I', t.relname || '_archive') INTO archived;
    END IF;
    EXECUTE format('WITH n AS (%s), b AS (SELECT x::text FROM ret_family_before.%I x)
                    SELECT count(*) FROM ((TABLE n EXCEPT ALL TABLE b) UNION ALL (TABLE b EXCEPT ALL TABLE n)) d', now_, t.relname) INTO wrong;
    RETURN NEXT;
  END LOOP;
  DROP TABLE plan, run;
END $$;
CREATE FUNCTION forget() RETURNS void LANGUAGE plpgsql AS $$
DECLARE t record;
BEGIN
  FOR t IN SELECT relname FROM pg_class WHERE relnamespace = 'ret_family_before'::regnamespace AND relkind = 'r' LOOP
    EXECUTE format('DROP TABLE ret_family_before.%I', t.relname);
    EXECUTE format('DROP TABLE IF EXISTS ret_family.%I CASCADE', t.relname); -- a partition goes with its parent
  END LOOP;
  DROP SCHEMA ret_family_archive CASCADE;
END $$;

-- Composite keys, three levels; a reference with a NULL in it is none.
CREATE TABLE account (tenant int, id int, at timestamp, PRIMARY KEY (id, tenant));
CREATE TABLE doc (no int PRIMARY KEY, id int, tenant int, UNIQUE (tenant, no),
                  CONSTRAINT doc_account FOREIGN KEY (tenant, id) REFERENCES account (tenant, id) ON DELETE CASCADE);
CREATE TABLE page (tenant int, no int, page int, text text, CONSTRAINT page_doc FOREIGN KEY (no, tenant) REFERENCES doc (no, tenant) ON DELETE CASCADE);
CREATE TABLE word (id int PRIMARY KEY, page int, CONSTRAINT word_page FOREIGN KEY (page) REFERENCES doc (no) ON DELETE CASCADE);
INSERT INTO account SELECT t, i, '2024-01-01'::timestamp + i * interval '1 day' FROM generate_series(1, 2) t, generate_series(1, 60) i;
INSERT INTO doc SELECT a.id * 100 + a.tenant * 10 + n, a.id, a.tenant FROM account a, generate_series(1, 3) n;
INSERT INTO doc VALUES (1, NULL, 1), (2, 1, NULL);
INSERT INTO page SELECT d.tenant, d.no, p, repeat('x', p) FROM doc d, generate_series(1, 4) p;
INSERT INTO word SELECT no * 10, no FROM doc;
SELECT privacy_scan.set_retention('account', '320 days', 'at', 'tenant = 1');
SELECT remember('account', 'doc', 'page', 'word');
SELECT relation, action, target, rows, lock, key_from, key_to, reason FROM privacy_scan.plan_retention('account', '2025-01-01 00:00+00');
SELECT * FROM archived('account');
SELECT * FROM archived('account');
SELECT forget();

-- A diamond: issues of evidence of scans, and of scans. An issue goes when one of its parents goes.
CREATE TABLE scan (id text PRIMARY KEY, at timestamp);
CREATE TABLE evidence (id text PRIMARY KEY, scan text REFERENCES scan ON DELETE CASCADE);
CREATE TABLE issue (id text PRIMARY KEY, evidence text REFERENCES evidence ON DELETE CASCADE, scan text REFERENCES scan ON DELETE CASCADE);
INSERT INTO scan VALUES ('a', '2023-01-01'), ('b', '2023-02-01'), ('c', '2024-12-01');
INSERT INTO evidence SELECT s.id || n, s.id FROM scan s, generate_series(1, 3) n;
INSERT INTO issue VALUES ('1', 'a1', 'a'), ('2', 'a1', NULL), ('3', NULL, 'b'), ('4', 'b1', 'c'), ('5', 'c1', 'a'), ('6', 'c1', 'c'), ('7', NULL, NULL), ('8', 'c2', NULL);
SELECT privacy_scan.set_retention('scan', '1 year', 'at');
SELECT remember('scan', 'evidence', 'issue');
SELECT relation, action, target, rows, reason FROM privacy_scan.plan_retention('scan', '2025-01-01 00:00+00');
SELECT * FROM archived('scan');
SELECT id FROM issue ORDER BY 1;
SELECT forget();

-- References that are cleared: the rows stay. One that is also in the family is archived with its reference.
CREATE TABLE scan (id int PRIMARY KEY, at timestamp, previous int CONSTRAINT scan_previous REFERENCES scan ON DELETE SET NULL);
CREATE TABLE bookmark (id int PRIMARY KEY, scan int CONSTRAINT bookmark_scan REFERENCES scan ON DELETE SET NULL);
CREATE TABLE report (id int PRIMARY KEY, scan int DEFAULT 0 CONSTRAINT report_scan REFERENCES scan ON DELETE SET DEFAULT);
CREATE TABLE aissue (id int PRIMARY KEY, scan int CONSTRAINT aissue_scan REFERENCES scan ON DELETE CASCADE);
CREATE TABLE evidence (id int PRIMARY KEY, scan int CONSTRAINT evidence_scan REFERENCES scan ON DELETE CASCADE,
                       issue int CONSTRAINT evidence_issue REFERENCES aissue ON DELETE SET NULL);
CREATE TABLE zissue (id int PRIMARY KEY, scan int CONSTRAINT zissue_scan REFERENCES scan ON DELETE CASCADE,
                     evidence int CONSTRAINT zissue_evidence REFERENCES evidence ON DELETE SET NULL);
INSERT INTO scan SELECT i, CASE WHEN i BETWEEN 1 AND 50 THEN timestamp '2023-01-01' ELSE '2024-12-01' END, NULL FROM generate_series(0, 100) i;
UPDATE scan SET previous = id - 1 WHERE id BETWEEN 2 AND 50;
INSERT INTO bookmark SELECT id, id FROM scan;
INSERT INTO report SELECT id, id FROM scan;
INSERT INTO aissue SELECT id, id FROM scan;
INSERT INTO evidence SELECT id, id, id FROM scan;
INSERT INTO zissue SELECT id, id, id FROM scan;
SELECT privacy_scan.set_retention('scan', '1 year', 'at');
SELECT remember('scan', 'bookmark', 'report', 'evidence', 'aissue', 'zissue');
SELECT relation, action, target, rows, lock, reason FROM privacy_scan.plan_retention('scan', '2025-01-01 00:00+00');
SELECT * FROM archived('scan');
SELECT count(*), count(scan) FROM bookmark;
SELECT scan = 0 AS is_default, count(*) FROM report GROUP BY 1 ORDER BY 1;
SELECT forget();

-- Keys that restrict, at once or at the end, are no obstacle.
CREATE TABLE scan (id int PRIMARY KEY, at timestamp);
CREATE TABLE c1 (scan int REFERENCES scan ON DELETE RESTRICT);
CREATE TABLE c2 (id int UNIQUE, scan int REFERENCES scan ON DELETE NO ACTION);
CREATE TABLE c3 (c2 int REFERENCES c2 (id) DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE c4 (scan int);
ALTER TABLE c4 ADD FOREIGN KEY (scan) REFERENCES scan NOT VALID;
INSERT INTO scan SELECT i, '2023-01-01' FROM generate_series(1, 10) i;
INSERT INTO c1 SELECT id FROM scan;
INSERT INTO c2 SELECT id, id FROM scan;
INSERT INTO c3 SELECT id FROM c2;
INSERT INTO c4 SELECT id FROM scan;
SELECT privacy_scan.set_retention('scan', '1 year', 'at', 'id <= 5');
SELECT remember('scan', 'c1', 'c2', 'c3', 'c4');
SELECT * FROM archived('scan');
SELECT forget();

-- Types whose keys have an equality of their own.
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE level AS ENUM ('low', 'high');
CREATE TABLE root (id int PRIMARY KEY, ci citext UNIQUE, d positive UNIQUE, v varchar(10) UNIQUE, b char(5) UNIQUE, u uuid UNIQUE, m numeric UNIQUE,
                   l level, r int4range UNIQUE, ts timestamptz UNIQUE, at date, UNIQUE (l, id));
CREATE TABLE by_int8 (id int8 REFERENCES root (id) ON DELETE CASCADE);
CREATE TABLE by_int2 (id int2 REFERENCES root (id) ON DELETE CASCADE);
CREATE TABLE by_citext (ci citext REFERENCES root (ci) ON DELETE CASCADE);
CREATE TABLE by_domain (d int REFERENCES root (d) ON DELETE CASCADE);
CREATE TABLE by_text (v text REFERENCES root (v) ON DELETE CASCADE);
CREATE TABLE by_char (b char(8) REFERENCES root (b) ON DELETE CASCADE);
CREATE TABLE by_uuid (u uuid REFERENCES root (u) ON DELETE CASCADE);
CREATE TABLE by_numeric (m numeric REFERENCES root (m) ON DELETE CASCADE);
CREATE TABLE by_bigint_numeric (m bigint REFERENCES root (m) ON DELETE CASCADE);
CREATE TABLE by_range (r int4range REFERENCES root (r) ON DELETE CASCADE);
CREATE TABLE by_enum (l level, id int8, FOREIGN KEY (l, id) REFERENCES root (l, id) ON DELETE CASCADE);
CREATE TABLE by_time (ts timestamptz REFERENCES root (ts) ON DELETE CASCADE);
INSERT INTO root SELECT i, 'Key' || i, i, 'v' || i, 'b' || i, md5(i::text)::uuid, i + 0.50, (ARRAY['low', 'high'])[1 + i % 2]::level,
  int4range(i, i + 5), '2020-01-01 00:00+00'::timestamptz + i * interval '1 hour', CASE WHEN i % 2 = 0 THEN date '2023-01-01' ELSE '2024-12-01' END
  FROM generate_series(1, 20) i;
UPDATE root SET m = id WHERE id > 10;
INSERT INTO by_int8 SELECT id FROM root;
INSERT INTO by_int2 SELECT id FROM root;
INSERT INTO by_citext SELECT upper(ci::text) FROM root UNION ALL SELECT lower(ci::text) FROM root;
INSERT INTO by_domain SELECT d FROM root;
INSERT INTO by_text SELECT v FROM root;
INSERT INTO by_char SELECT b FROM root;
INSERT INTO by_uuid SELECT u FROM root;
INSERT INTO by_numeric SELECT m + 0.000 FROM root;
INSERT INTO by_bigint_numeric SELECT m FROM root WHERE id > 10;
INSERT INTO by_range SELECT r FROM root;
INSERT INTO by_enum SELECT l, id FROM root;
INSERT INTO by_time SELECT ts FROM root;
SELECT privacy_scan.set_retention('root', '1 year', 'at');
SELECT remember('root', 'by_int8', 'by_int2', 'by_citext', 'by_domain', 'by_text', 'by_char', 'by_uuid', 'by_numeric', 'by_bigint_numeric', 'by_range', 'by_enum', 'by_time');
SELECT * FROM archived('root');
SELECT forget();
CREATE TABLE root (a int[] PRIMARY KEY, at date);
CREATE TABLE by_array (a int[] REFERENCES root (a) ON DELETE CASCADE);
SELECT privacy_scan.set_retention('root', '1 year', 'at');
DROP TABLE root, by_array;
DROP TYPE level;
DROP DOMAIN positive;

-- A partitioned root and partitioned children, to any depth; keys of single partitions, and to them.
CREATE TABLE scan (id int, at timestamp NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE scan_2023 PARTITION OF scan FOR VALUES FROM ('2023-01-01') TO ('2024-01-01') PARTITION BY RANGE (id);
CREATE TABLE scan_2023_a PARTITION OF scan_2023 FOR VALUES FROM (MINVALUE) TO (10);
CREATE TABLE scan_2023_b (more text, at timestamp NOT NULL, id int NOT NULL);
ALTER TABLE scan_2023_b DROP COLUMN more;
ALTER TABLE scan_2023 ATTACH PARTITION scan_2023_b FOR VALUES FROM (10) TO (MAXVALUE);
CREATE TABLE scan_rest PARTITION OF scan DEFAULT;
CREATE TABLE evidence (id int, scan int, scan_at timestamp, FOREIGN KEY (scan, scan_at) REFERENCES scan ON DELETE CASCADE, PRIMARY KEY (id, scan_at)) PARTITION BY HASH (scan_at);
CREATE TABLE evidence_0 PARTITION OF evidence FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE evidence_1 PARTITION OF evidence FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE issue (id int, evidence int, evidence_at timestamp, kind text, FOREIGN KEY (evidence, evidence_at) REFERENCES evidence ON DELETE CASCADE);
CREATE TABLE note (id int, kind text, scan int, at timestamp) PARTITION BY LIST (kind);
CREATE TABLE note_a PARTITION OF note FOR VALUES IN ('a');
CREATE TABLE note_b PARTITION OF note FOR VALUES IN ('b');
ALTER TABLE note_a ADD FOREIGN KEY (scan, at) REFERENCES scan ON DELETE CASCADE;
CREATE TABLE aside (scan int, at timestamp, FOREIGN KEY (scan, at) REFERENCES scan_2023_a ON DELETE CASCADE);
INSERT INTO scan SELECT i, timestamp '2023-06-01' + i * interval '30 days' FROM generate_series(1, 20) i;
INSERT INTO evidence SELECT s.id * 10 + n, s.id, s.at FROM scan s, generate_series(1, 5) n;
INSERT INTO issue SELECT id * 10, id, scan_at FROM evidence;
INSERT INTO note SELECT id, 'a', id, at FROM scan UNION ALL SELECT id, 'b', id, at FROM scan;
INSERT INTO aside SELECT id, at FROM scan_2023_a;
SELECT privacy_scan.set_retention('scan', '1 year', 'at');
SELECT remember('scan', 'evidence', 'issue', 'note_a', 'note', 'aside');
SELECT relation, action, target, rows, reason FROM privacy_scan.plan_retention('scan', '2025-01-01 00:00+00');
SELECT * FROM archived('scan') WHERE relation <> 'note';
SELECT kind, count(*) FROM note GROUP BY 1 ORDER BY 1;
-- A member that is a partition: keys to its parent count.
CREATE TABLE top (id int PRIMARY KEY, at timestamp);
CREATE TABLE mid (id int PRIMARY KEY, top int) PARTITION BY RANGE (id);
CREATE TABLE mid_1 PARTITION OF mid FOR VALUES FROM (0) TO (100);
ALTER TABLE mid_1 ADD FOREIGN KEY (top) REFERENCES top ON DELETE CASCADE;
CREATE TABLE low (mid int REFERENCES mid ON DELETE CASCADE);
INSERT INTO top VALUES (1, '2023-01-01'), (2, '2024-12-01');
INSERT INTO mid VALUES (1, 1), (2, 2);
INSERT INTO low VALUES (1), (1), (2);
SELECT privacy_scan.set_retention('top', '1 year', 'at');
SELECT remember('top', 'mid_1', 'low');
SELECT * FROM archived('top') WHERE relation IN ('top', 'mid_1', 'low');
DROP TABLE ret_family_before.mid_1, mid CASCADE;
SELECT forget();

-- Partitions are searched for a range of ids: in the order of the ids' collation, and past those that are NULL.
CREATE TABLE scan (id text COLLATE "en-x-icu" PRIMARY KEY, n int UNIQUE, c varchar(5) UNIQUE, at timestamp);
CREATE TABLE evidence (scan text COLLATE "en-x-icu" REFERENCES scan ON DELETE CASCADE, at date) PARTITION BY RANGE (at);
CREATE TABLE evidence_1 PARTITION OF evidence DEFAULT;
CREATE TABLE issue (n int8 REFERENCES scan (n) ON DELETE CASCADE) PARTITION BY HASH (n);
CREATE TABLE issue_1 PARTITION OF issue FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE note (n int REFERENCES scan (n) ON DELETE CASCADE, m int) PARTITION BY RANGE (m);
CREATE TABLE note_1 PARTITION OF note FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (n);
CREATE TABLE note_11 PARTITION OF note_1 FOR VALUES FROM (MINVALUE) TO (3);
CREATE TABLE note_12 PARTITION OF note_1 DEFAULT;
CREATE TABLE note_2 PARTITION OF note DEFAULT;
CREATE TABLE mark (c text REFERENCES scan (c) ON DELETE CASCADE) PARTITION BY LIST (c);
CREATE TABLE mark_1 PARTITION OF mark DEFAULT;
INSERT INTO scan VALUES ('a', 1, 'c', '2023-01-01'), ('B', NULL, NULL, '2023-02-01'), ('c', 5, 'B', '2023-03-01'), ('D', 7, 'a', '2024-12-01');
INSERT INTO evidence SELECT id FROM scan UNION ALL SELECT NULL;
INSERT INTO issue SELECT n FROM scan;
INSERT INTO note SELECT n, m FROM scan, (VALUES (1), (20)) v(m);
INSERT INTO mark SELECT c FROM scan;
SELECT privacy_scan.set_retention('scan', '1 year', 'at') IS NOT NULL AS set;
SELECT remember('scan', 'evidence', 'issue', 'note', 'mark');
SELECT * FROM archived('scan');
SELECT forget();

-- Names.
CREATE TABLE "Od""d %s 'x'" ("t" int PRIMARY KEY, "o" text, "k" text, "c" text, "at ""then""" timestamptz, "select" text, "gone" text, "$1" int);
CREATE TABLE "tp" ("hit" int PRIMARY KEY, "kept" text, "gone" int REFERENCES "Od""d %s 'x'" ON DELETE CASCADE, "u" int, "d" text, "g" text);
CREATE TABLE "picked;--" ("tp" int REFERENCES "tp" ON DELETE CASCADE, "t" int REFERENCES "Od""d %s 'x'" ON DELETE CASCADE, "größe" int, "new
line" text);
INSERT INTO "Od""d %s 'x'" SELECT i, 'o', 'k', 'c', '2023-01-01'::timestamptz + i * interval '1 month', 's', 'g', i FROM generate_series(1, 24) i;
INSERT INTO "tp" SELECT "t", 'k', "t", "t", 'd', 'g' FROM "Od""d %s 'x'";
INSERT INTO "picked;--" SELECT "t", 25 - "t", 0, 'n' FROM "Od""d %s 'x'";
SELECT privacy_scan.set_retention('"Od""d %s ''x''"', '1 year', 'at "then"', '"t" % 2 = 0 AND "select" = ''s'' AND "$1" > 0 AND "gone" <> ''''');
SELECT remember('"Od""d %s ''x''"', 'tp', '"picked;--"');
SELECT * FROM archived('"Od""d %s ''x''"');
SELECT relation, archive, rows FROM privacy_scan.archives WHERE relation LIKE '%ret_family%picked%' OR relation LIKE '%Od%' ORDER BY id;
SELECT forget();

-- Names that fill the room there is.
CREATE TABLE xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx (id int PRIMARY KEY, at timestamp);
CREATE TABLE xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy (id int REFERENCES xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx);
INSERT INTO xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx VALUES (1, '2023-01-01'), (2, '2024-12-01');
INSERT INTO xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy VALUES (1), (2), (NULL);
SELECT privacy_scan.set_retention('xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '1 year', 'at') IS NOT NULL AS set;
SELECT target, octet_length(split_part(target, '"', 4)) AS bytes, rows
FROM privacy_scan.apply_retention('xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx', '2025-01-01 00:00+00', NULL, false);
SELECT (SELECT count(*) FROM xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx) AS roots,
       (SELECT count(*) FROM xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy) AS children;

SET client_min_messages = error;
DELETE FROM privacy_scan.archive_ledger;
DELETE FROM privacy_scan.retention_rules;
DROP SCHEMA ret_family_archive, ret_family_before, ret_family, ret_ext CASCADE;
