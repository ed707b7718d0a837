#!/usr/bin/env bash
# Retention of 12 of 24 months, ours against the usual plpgsql, DELETE in batches and pg_partman, in alternating rounds on
# fresh copies of one store: time, time until the last expired row is out of the live relations for good (gone; of ours, when the
# ledger's last entry is written, just before its commit), CPU of the backend, WAL, dead rows left for VACUUM. Ours archives every
# row, partitions as a whole where there are any (rows: batch by batch even so), and ends with digests and ANALYZE; the usual
# function archives the scans alone and lets the cascade delete the rest (vacuum: and VACUUM makes good for it); batches archive
# nothing; pg_partman drops the children's months (drop), after which the scans are deleted, or detaches them (keep), and the
# scans stay. Then once more beside a client that reads and one that writes, each as fast as it can: the longest that either had
# to wait.
#
#   bench/retention.sh [SCANS [ROUNDS [STORE...]]]      default 6000 scans with 50 evidence and 10 issues each, 3 rounds, all of the
#                                                     stores: plain, partitioned (evidence and issues by month), ids (scans, too)
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

SCANS=${1:-6000}
ROUNDS=${2:-3}
STORES="${*:3}"
STORES=${STORES:-plain partitioned ids}
need_packages "${PACKAGES_RUN[@]}" postgresql-15-partman
MAKE_ARGS=(with_llvm=no)
quietly build_and_install
cluster_start ps-bench 'autovacuum = off' 'shared_buffers = 1GB' 'checkpoint_timeout = 1h' 'max_wal_size = 16GB'

# make_store NAME KEY TAIL [BY]: KEY is the primary key of the children, TAIL makes them partitioned or not, BY is who
# manages the partitions, if not we: partman; or ids: the scans are partitioned, too, in 24 ranges of ids, as who refers to them.
make_store() {
  psql_run -c "CREATE DATABASE $1"
  psql_run -d "$1" -v key="$2" -v tail="$3" -v by="${4:-ours}" -v scans="$SCANS" <<'SQL'
CREATE EXTENSION privacy_scan;
SELECT :'by' = 'ids' AS by_ids, CASE :'by' WHEN 'ids' THEN 'PARTITION BY RANGE (id)' ELSE '' END AS scan_tail \gset
CREATE TABLE "Scan" (id text COLLATE "C" PRIMARY KEY, status text NOT NULL, "createdAt" timestamp(3) NOT NULL, meta jsonb) :scan_tail;
CREATE TABLE "Evidence" (id text NOT NULL, "scanId" text COLLATE "C" NOT NULL REFERENCES "Scan" ON DELETE CASCADE, kind text,
  severity int, title text, details jsonb, "createdAt" timestamp(3) NOT NULL, PRIMARY KEY (:key)) :tail;
CREATE TABLE "Issue" (id text NOT NULL, "scanId" text COLLATE "C" NOT NULL REFERENCES "Scan" ON DELETE CASCADE, title text,
  severity int, "references" jsonb, "createdAt" timestamp(3) NOT NULL, PRIMARY KEY (:key)) :tail;
CREATE INDEX ON "Scan" ("createdAt");
CREATE INDEX ON "Evidence" ("scanId");
CREATE INDEX ON "Issue" ("scanId");
SELECT :'by' = 'partman' AS by_partman \gset
\if :by_partman
CREATE SCHEMA partman;
CREATE EXTENSION pg_partman SCHEMA partman;
SELECT count(partman.create_parent('public.' || name, 'createdAt', 'native', 'monthly', p_premake => 4,
  p_start_partition => (now() - interval '25 months')::text)) AS partitions FROM unnest(ARRAY['Evidence', 'Issue']) AS name \gset
UPDATE partman.part_config SET retention = '12 months', infinite_time_partitions = true;
\elif :by_ids
SELECT format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', name || '_' || n, name,
  'c' || lpad((n * :scans / 24 + 1)::text, 10, '0'), CASE n WHEN 23 THEN 'd' ELSE 'c' || lpad(((n + 1) * :scans / 24 + 1)::text, 10, '0') END)
FROM unnest(ARRAY['Scan', 'Evidence', 'Issue']) AS name, generate_series(0, 23) AS n \gexec
\else
SELECT count(*) AS partitions FROM pg_class c,
  LATERAL privacy_scan.manage_partitions(c.oid::regclass, 'createdAt', '1 month', start => now() - interval '25 months')
WHERE c.relname IN ('Evidence', 'Issue') AND c.relkind = 'p' \gset
\endif
INSERT INTO "Scan" SELECT 'c' || lpad(n::text, 10, '0'), 'done',
  date_trunc('month', now() AT TIME ZONE 'UTC') - interval '24 months' + (n - 0.5) * (interval '24 months' / :scans), '{"depth": 2}'
FROM generate_series(1, :scans) AS n;
INSERT INTO "Evidence" SELECT s.id || 'e' || k, s.id, 'tracker', k % 5, 'evidence ' || k,
  jsonb_build_object('domain', 'tracker' || k % 97 || '.example', 'cookies', k % 7, 'excerpt',
    (SELECT string_agg(md5(s.id || k || i), ' ') FROM generate_series(1, 13) AS i)),
  s."createdAt" + k * interval '1 second'
FROM "Scan" AS s, generate_series(1, 50) AS k;
INSERT INTO "Issue" SELECT s.id || 'i' || k, s.id, 'issue ' || k, k % 5, '["a", "b"]', s."createdAt" + interval '1 minute'
FROM "Scan" AS s, generate_series(1, 10) AS k;
CREATE TABLE "Scan_archive_usual" (LIKE "Scan");
CREATE FUNCTION usual_cleanup(before timestamp) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  gone integer;
BEGIN
  INSERT INTO "Scan_archive_usual" SELECT * FROM "Scan" WHERE "createdAt" < before AND status IN ('done', 'failed');
  DELETE FROM "Scan" WHERE "createdAt" < before AND status IN ('done', 'failed');
  GET DIAGNOSTICS gone = ROW_COUNT;
  ANALYZE "Scan";
  ANALYZE "Evidence";
  ANALYZE "Issue";
  RETURN gone;
END $$;
CREATE PROCEDURE delete_batches(before timestamp, scans integer) LANGUAGE plpgsql AS $$
BEGIN
  LOOP
    DELETE FROM "Scan" WHERE id IN (SELECT id FROM "Scan" WHERE "createdAt" < before AND status IN ('done', 'failed')
      ORDER BY "createdAt" LIMIT scans);
    EXIT WHEN NOT FOUND;
    COMMIT;
  END LOOP;
  ANALYZE "Scan", "Evidence", "Issue";
END $$;
SELECT privacy_scan.set_retention('"Scan"', '12 months', 'createdAt', $$status IN ('done', 'failed')$$) AS policy \gset
VACUUM (FREEZE, ANALYZE);
CHECKPOINT;
SQL
}

# cutoff_of STORE: a year ago, at a month's start; where windows of ids go, between two of them.
cutoff_of() {
  case $1 in
    ids) echo "SELECT \"createdAt\" - interval '1 second' AS before FROM \"Scan\" WHERE id = 'c' || lpad(($SCANS / 2 + 1)::text, 10, '0') \\gset" ;;
    *) echo "SELECT date_trunc('month', now() AT TIME ZONE 'UTC') - interval '12 months' AS before \\gset" ;;
  esac
  echo "SELECT (:'before'::timestamp + interval '12 months') AT TIME ZONE 'UTC' AS at \\gset"
}

# statement WAY: what it runs, with the cutoff set.
statement() {
  local before=":'before'"
  case $1 in
    usual) echo "SELECT usual_cleanup($before) AS gone \\gset" ;;
    vacuum) echo "SELECT usual_cleanup($before) AS gone \\gset"$'\n''VACUUM "Scan", "Evidence", "Issue";' ;;
    batches) echo "CALL delete_batches($before, 200);" ;;
    rows) echo "SET privacy_scan.retention_whole_rows = 0; CALL privacy_scan.run_retention('\"Scan\"', :'at', confirm => true);" ;;
    ours) echo "CALL privacy_scan.run_retention('\"Scan\"', :'at', confirm => true);" ;;
    drop | keep)
      echo "UPDATE partman.part_config SET retention_keep_table = $([ "$1" = keep ] && echo true || echo false);"
      echo "SELECT partman.run_maintenance('public.Evidence') AS gone \\gset"
      echo "SELECT partman.run_maintenance('public.Issue') AS gone \\gset"
      if [ "$1" = drop ]; then echo "DELETE FROM \"Scan\" WHERE \"createdAt\" < $before AND status IN ('done', 'failed');"; fi
      echo 'ANALYZE "Scan", "Evidence", "Issue";'
      ;;
  esac
}

# store_of STORE WAY: where pg_partman works it needs a store of its own.
store_of() { case $2 in drop | keep) echo partman ;; *) echo "$1" ;; esac; }

# run_once STORE STATEMENT: on a fresh copy; prints "ms gone_ms cpu_ms wal_mb dead_rows".
run_once() {
  psql_run -c 'CREATE DATABASE bench_copy TEMPLATE '"$1" -c CHECKPOINT
  psql_run -At -F ' ' -d bench_copy <<SQL 2>/dev/null | tail -n 1
SELECT count(*) FROM "Evidence" \gset warm_
$(cutoff_of "$1")
SELECT pg_current_wal_lsn() AS lsn, clock_timestamp() AS begun, split_part(pg_read_file('/proc/' || pg_backend_pid() || '/schedstat'), ' ', 1)::bigint AS cpu \gset
$2
SELECT pg_stat_force_next_flush() AS flushed, clock_timestamp() AS ended \gset
SELECT round(1000 * extract(epoch FROM :'ended'::timestamptz - :'begun')),
  round(1000 * extract(epoch FROM coalesce((SELECT max(archived_at) FROM privacy_scan.archives), :'ended') - :'begun')),
  round((split_part(pg_read_file('/proc/' || pg_backend_pid() || '/schedstat'), ' ', 1)::bigint - :cpu) / 1e6),
  round(pg_wal_lsn_diff(pg_current_wal_lsn(), :'lsn') / 1e6, 1),
  (SELECT sum(n_dead_tup) FROM pg_stat_user_tables WHERE schemaname = 'public');
SQL
  psql_run -c 'DROP DATABASE bench_copy'
}

# median FIELD FILE
median() { cut -d' ' -f"$1" "$2" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# compare STORE WAY...: their medians, in rounds in which each has its turn.
compare() {
  local store=$1 results round way
  shift
  results=$(mktemp -d)
  at_exit rm -rf "$results"
  for ((round = 1; round <= ROUNDS; round++)); do
    for way in "$@"; do run_once "$(store_of "$store" "$way")" "$(statement "$way")" >>"$results/$way"; done
  done
  printf '%-12s %-7s %8s %8s %8s %8s %10s\n' "$store" way ms gone 'cpu ms' 'WAL MB' 'dead rows'
  for way in "$@"; do
    printf '%-12s %-7s' '' "$way"
    printf ' %8s %8s %8s %8s %10s\n' "$(median 1 "$results/$way")" "$(median 2 "$results/$way")" "$(median 3 "$results/$way")" \
      "$(median 4 "$results/$way")" "$(median 5 "$results/$way")"
  done
  for way in usual vacuum; do
    [ ! -e "$results/$way" ] || awk -v way="$way" -v a="$(median 1 "$results/$way")" -v b="$(median 2 "$results/ours")" \
      -v c="$(median 1 "$results/ours")" -v d="$(median 3 "$results/$way")" -v e="$(median 3 "$results/ours")" \
      'BEGIN { printf "%-12s %s / ours: until gone %.1f, to the end %.1f, CPU %.1f (above 1: ours is faster, archiving all)\n", "", way, a / b, a / c, d / e }'
  done
}

# worst FILE...: the longest transaction of pgbench's logs, in ms.
worst() { cat "$@" | sort -n -k 3 | awk 'END { printf "%.0f", $3 / 1000 }'; }

# probe STORE WAY: on a fresh copy, beside a reader and a writer of scans that stay.
probe() {
  local logs locked
  logs=$(mktemp -d)
  at_exit rm -rf "$logs"
  psql_run -c "CREATE DATABASE bench_copy TEMPLATE $(store_of "$1" "$2")" -c CHECKPOINT
  cat >"$logs/read.sql" <<SQL
\set n random($SCANS * 2 / 3, $SCANS)
SELECT count(*) FROM "Scan" s JOIN "Evidence" e ON e."scanId" = s.id WHERE s.id = 'c' || lpad((:n)::text, 10, '0');
SQL
  cat >"$logs/write.sql" <<SQL
\set n random($SCANS * 2 / 3, $SCANS)
INSERT INTO "Evidence" (id, "scanId", "createdAt") VALUES (gen_random_uuid()::text, 'c' || lpad((:n)::text, 10, '0'), now());
SQL
  for kind in read write; do
    (cd "$logs" && exec "$(pg_dir bindir)/pgbench" -n -T 600 -l --log-prefix="$kind" -f "$kind.sql" bench_copy >/dev/null 2>&1) &
    echo $! >"$logs/$kind.pid"
  done
  until [ -s "$(echo "$logs"/read.*[0-9])" ] && [ -s "$(echo "$logs"/write.*[0-9])" ]; do sleep 0.1; done
  psql_run -At -d bench_copy <<SQL >"$logs/out" 2>&1
SELECT count(*) FROM "Evidence" \gset warm_
$(cutoff_of "$1")
SELECT clock_timestamp() AS begun \gset
$(statement "$2")
SELECT round(1000 * extract(epoch FROM clock_timestamp() - :'begun'::timestamptz));
SQL
  kill "$(cat "$logs/read.pid")" "$(cat "$logs/write.pid")"
  wait
  # What we say of our locks ourselves; the others don't.
  locked=$(sed -n 's/.*locks held for \([0-9.]*\) ms/\1/p' "$logs/out" | sort -n | tail -n 1)
  printf '%-12s %-7s %8s ms, longest wait of the reader %s ms, of the writer %s ms, longest lock %s ms, whole %s\n' "$1" "$2" \
    "$(tail -n 1 "$logs/out")" "$(worst "$logs"/read.*[0-9])" "$(worst "$logs"/write.*[0-9])" "${locked:--}" \
    "$(grep -c 'archived whole' "$logs/out" || true)"
  psql_run -c 'DROP DATABASE bench_copy WITH (FORCE)'
}

# wants STORE: is it to be measured?
wants() { [[ " $STORES " == *" $1 "* ]]; }

if wants plain; then
  make_store plain id ''
  compare plain usual batches ours
fi
if wants partitioned; then
  make_store partitioned 'id, "createdAt"' 'PARTITION BY RANGE ("createdAt")'
  make_store partman 'id, "createdAt"' 'PARTITION BY RANGE ("createdAt")' partman
  compare partitioned usual vacuum batches rows ours drop keep
fi
if wants ids; then
  make_store ids '"scanId", id' 'PARTITION BY RANGE ("scanId")' ids
  compare ids usual vacuum batches rows ours
fi
for ((round = 1; round <= ROUNDS; round++)); do
  if wants partitioned; then for way in usual batches ours drop keep; do probe partitioned "$way"; done; fi
  if wants ids; then for way in usual ours; do probe ids "$way"; done; fi
done
