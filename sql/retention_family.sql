-- What is a family: any depth, composite keys, diamonds, cleared references; circles are refused.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS privacy_scan;
CREATE SCHEMA ps_family;
SET search_path = ps_family;
SET DateStyle = ISO;
-- root <- child (composite key) <- grandchild; a diamond: grandchild also refers to root; loose is cleared.
CREATE TABLE root (a int, b text, at timestamptz, PRIMARY KEY (a, b), UNIQUE (a));
CREATE TABLE child (id int PRIMARY KEY, ra int, rb text, FOREIGN KEY (ra, rb) REFERENCES root ON DELETE RESTRICT);
CREATE TABLE grandchild (id int PRIMARY KEY, child int REFERENCES child ON DELETE NO ACTION, root int REFERENCES root (a) ON DELETE CASCADE);
CREATE TABLE loose (id int, child int REFERENCES child ON DELETE SET NULL, root int DEFAULT 12 REFERENCES root (a) ON DELETE SET DEFAULT);
CREATE TABLE outside (id int PRIMARY KEY);
ALTER TABLE child ADD out int REFERENCES outside;
INSERT INTO root SELECT n, 'b' || n, timestamptz '2020-01-01 00:00+00' + n * interval '1 day' FROM generate_series(1, 10) n;
INSERT INTO root VALUES (11, 'b11', NULL), (12, 'b12', 'infinity'), (13, 'b13', '-infinity'), (14, 'b14', '0044-03-15 BC');
INSERT INTO child SELECT n, 1 + n % 14, 'b' || 1 + n % 14 FROM generate_series(1, 28) n;
INSERT INTO child VALUES (100, NULL, NULL), (101, 2, NULL); -- no reference: no member of any family
INSERT INTO grandchild SELECT n, 1 + n % 28, CASE WHEN n % 2 = 0 THEN 1 + n % 14 END FROM generate_series(1, 56) n;
INSERT INTO grandchild VALUES (100, 100, 2), (101, 28, NULL), (102, NULL, NULL);
INSERT INTO loose SELECT n, 1 + n % 28, 1 + n % 14 FROM generate_series(1, 14) n;
ANALYZE;
SELECT privacy_scan.set_retention('root', '1 year', 'at');
SELECT relation, action, rows, key_from, key_to, reason FROM privacy_scan.plan_retention('root', '2021-01-05 00:00+00');
SELECT relation, action, rows, key_from, key_to FROM privacy_scan.apply_retention('root', '2021-01-05 00:00+00', dry_run => false);
-- Gone: 44 BC and three days of 2020; without a time, and beyond all time, rows stay.
SELECT a, at AT TIME ZONE 'UTC' AS at FROM root ORDER BY 2, 1;
SELECT string_agg(id::text, ' ' ORDER BY id) FROM ps_family_archive.child_archive;
SELECT string_agg(id::text, ' ' ORDER BY id) FROM ps_family_archive.grandchild_archive;
SELECT (SELECT count(*) FROM child) + (SELECT count(*) FROM ps_family_archive.child_archive) AS children,
       (SELECT count(*) FROM grandchild) + (SELECT count(*) FROM ps_family_archive.grandchild_archive) AS grandchildren,
       (SELECT count(*) FROM loose) AS loose, (SELECT count(child) FROM loose) AS with_child, to_regclass('ps_family_archive.loose_archive');
-- Several batches, and max_rows holds: a batch is whole families, one at least.
SELECT relation, action, rows FROM privacy_scan.apply_retention('root', '2022-01-01 00:00+00', max_rows => 1, dry_run => false);
SELECT sum(rows) <= 15 AS fits, sum(rows) FROM privacy_scan.apply_retention('root', '2022-01-01 00:00+00', max_rows => 15, dry_run => false);
SELECT count(*) AS orphans FROM grandchild g LEFT JOIN child c ON c.id = g.child LEFT JOIN root r ON r.a = g.root
WHERE (g.child IS NOT NULL AND c.id IS NULL) OR (g.root IS NOT NULL AND r.a IS NULL);
-- Foreign keys that come later count at once.
CREATE TABLE late (id int, root int REFERENCES root (a) ON DELETE CASCADE);
INSERT INTO late SELECT 1, max(a) FROM root WHERE isfinite(at);
SELECT relation, rows FROM privacy_scan.apply_retention('root', '2025-01-01 00:00+00', dry_run => false) WHERE relation IN ('late'::regclass, 'root'::regclass);
-- Circles, named; a self-reference that is cleared is no circle.
CREATE TABLE tree (id int PRIMARY KEY, up int CONSTRAINT tree_up REFERENCES tree ON DELETE CASCADE, at date);
SELECT privacy_scan.set_retention('tree', '1 year', 'at');
ALTER TABLE tree DROP CONSTRAINT tree_up, ADD CONSTRAINT tree_up FOREIGN KEY (up) REFERENCES tree ON DELETE SET NULL;
INSERT INTO tree VALUES (1, NULL, '2020-01-01'), (2, 1, '2020-01-02'), (3, 2, '2020-01-03');
SELECT privacy_scan.set_retention('tree', '1 year', 'at');
SELECT relation, action, rows, reason FROM privacy_scan.apply_retention('tree', '2021-01-02 23:59+00', dry_run => false);
SELECT * FROM tree ORDER BY id;
CREATE TABLE hen (id int PRIMARY KEY, egg int, at date);
CREATE TABLE egg (id int PRIMARY KEY, hen int CONSTRAINT egg_hen REFERENCES hen);
ALTER TABLE hen ADD CONSTRAINT hen_egg FOREIGN KEY (egg) REFERENCES egg;
SELECT privacy_scan.set_retention('hen', '1 year', 'at');
-- A member that is not a table of the same owner, or a partition by itself.
\set VERBOSITY terse
CREATE ROLE regress_ps_other;
CREATE TABLE flock (id int PRIMARY KEY, at date);
CREATE TABLE sheep (flock int REFERENCES flock ON DELETE CASCADE);
ALTER TABLE sheep OWNER TO regress_ps_other;
SELECT privacy_scan.set_retention('flock', '1 year', 'at');
\set VERBOSITY default
ALTER TABLE sheep OWNER TO CURRENT_USER;
CREATE TABLE pen (flock int) PARTITION BY LIST (flock);
CREATE TABLE pen_1 PARTITION OF pen FOR VALUES IN (1);
ALTER TABLE pen_1 ADD FOREIGN KEY (flock) REFERENCES flock ON DELETE CASCADE;
SELECT privacy_scan.set_retention('flock', '1 year', 'at');
ALTER TABLE pen_1 DROP CONSTRAINT pen_1_flock_fkey;
-- A foreign key to a partition of the root.
CREATE TABLE years (id int, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE years_2020 PARTITION OF years FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE diary (id int, at date, FOREIGN KEY (id, at) REFERENCES years_2020 ON DELETE CASCADE);
INSERT INTO years VALUES (1, '2020-05-05');
INSERT INTO diary VALUES (1, '2020-05-05');
SELECT privacy_scan.set_retention('years', '1 year', 'at');
SELECT relation, rows FROM privacy_scan.apply_retention('years', '2022-01-01 00:00+00', dry_run => false);
SELECT (SELECT count(*) FROM diary) AS live, (SELECT count(*) FROM ps_family_archive.diary_archive) AS archived;
SELECT count(privacy_scan.drop_retention(root)) FROM privacy_scan.retention_policies WHERE root::text IN ('root', 'tree', 'years', 'flock');
DROP SCHEMA ps_family, ps_family_archive CASCADE;
DROP ROLE regress_ps_other;
DELETE FROM privacy_scan.archive_ledger WHERE root_name LIKE '"ps_family".%';
