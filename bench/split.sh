#!/usr/bin/env bash
# Splitting a partition of 24 months, and merging them again, in alternating rounds on fresh copies of one store: ours
# against INSERT .. SELECT into partitions that have their indexes and foreign key already, and ANALYZE (time, CPU of the
# backend, WAL); what the captured insert costs; how long the switches hold their locks, with and without changes that wait; and
# what a client that reads and writes notices of a split at the usual rate and of one that isn't held back.
#
#   bench/split.sh [ROWS [ROUNDS]]      default 300000 rows, 5 rounds
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

ROWS=${1:-300000}
ROUNDS=${2:-5}
need_packages "${PACKAGES_RUN[@]}"
MAKE_ARGS=(with_llvm=no)
quietly build_and_install
cluster_start ps-bench 'autovacuum = off' 'shared_buffers = 1GB' 'checkpoint_timeout = 1h' 'max_wal_size = 16GB'
RESULTS=$(mktemp -d)
at_exit rm -rf "$RESULTS"

psql_run -c 'CREATE DATABASE store'
psql_run -d store -v rows="$ROWS" <<'SQL'
CREATE EXTENSION privacy_scan;
CREATE TABLE "Scan" (id int PRIMARY KEY);
INSERT INTO "Scan" SELECT generate_series(1, 6000);
CREATE TABLE "Evidence" (id text NOT NULL, "scanId" int NOT NULL REFERENCES "Scan" ON DELETE CASCADE, kind text, severity int,
  details jsonb, "createdAt" timestamp(3) NOT NULL, PRIMARY KEY (id, "createdAt")) PARTITION BY RANGE ("createdAt");
CREATE INDEX ON "Evidence" ("scanId");
CREATE INDEX ON "Evidence" ("createdAt");
CREATE TABLE "Evidence_wide" PARTITION OF "Evidence" FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
INSERT INTO "Evidence" SELECT 'c' || lpad(n::text, 10, '0') || 'e', 1 + n % 6000, 'tracker', n % 5,
  jsonb_build_object('domain', 'tracker' || n % 97 || '.example', 'cookies', n % 7, 'excerpt',
    (SELECT string_agg(md5(n::text || i), ' ') FROM generate_series(1, 13) AS i)),
  timestamp '2024-01-01' + (n - 0.5) * (interval '731 days' / :rows)
FROM generate_series(1, :rows) AS n;
SELECT count(*) AS partitions FROM privacy_scan.manage_partitions('"Evidence"', 'createdAt', interval '1 month') \gset
CREATE TABLE twin (LIKE "Evidence" INCLUDING ALL, FOREIGN KEY ("scanId") REFERENCES "Scan" ON DELETE CASCADE) PARTITION BY RANGE ("createdAt");
SELECT format('CREATE TABLE twin_%s PARTITION OF twin FOR VALUES FROM (%L) TO (%L)', m, timestamp '2024-01-01' + m * interval '1 month',
  timestamp '2024-02-01' + m * interval '1 month') FROM generate_series(0, 23) AS m \gexec
CREATE PROCEDURE until(wanted text) LANGUAGE plpgsql AS $$
BEGIN
  LOOP
    EXIT WHEN EXISTS (SELECT FROM privacy_scan.splits s WHERE s.step = wanted);
    PERFORM privacy_scan.split_partition('"Evidence_wide"');
    COMMIT;
  END LOOP;
END $$;
VACUUM (FREEZE, ANALYZE);
CHECKPOINT;
SQL

# on_copy [PSQL ARGUMENT...]: a script from stdin on a fresh copy.
on_copy() {
  psql_run -c 'CREATE DATABASE bench_copy TEMPLATE store' -c CHECKPOINT
  psql_run -At -F ' ' -d bench_copy "$@" 2>/dev/null
  psql_run -c 'DROP DATABASE bench_copy WITH (FORCE)'
}

# measured STATEMENT [BEFORE]: prints "ms cpu_ms wal_mb".
measured() {
  on_copy <<SQL | tail -n 1
SELECT count(*) AS warm FROM "Evidence" \gset
${2:-}
SELECT pg_current_wal_lsn() AS lsn, clock_timestamp() AS begun, split_part(pg_read_file('/proc/' || pg_backend_pid() || '/schedstat'), ' ', 1)::bigint AS cpu \gset
$1
SELECT round(1000 * extract(epoch FROM clock_timestamp() - :'begun'::timestamptz), 1),
  round((split_part(pg_read_file('/proc/' || pg_backend_pid() || '/schedstat'), ' ', 1)::bigint - :cpu) / 1e6, 1),
  round(pg_wal_lsn_diff(pg_current_wal_lsn(), :'lsn') / 1e6, 1);
SQL
}

median() { cut -d' ' -f"$1" "$2" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

show() {
  for way in "$@"; do
    printf '%-10s %9s ms, CPU %8s ms, WAL %7s MB\n' "$way" "$(median 1 "$RESULTS/$way")" "$(median 2 "$RESULTS/$way")" "$(median 3 "$RESULTS/$way")"
  done
  awk -v a="$(median 2 "$RESULTS/$1")" -v b="$(median 2 "$RESULTS/$2")" -v first="$1" -v second="$2" \
    'BEGIN { printf "%-10s CPU %s / %s: %.2f\n", "", first, second, a / b }'
}

ours="SET privacy_scan.split_rate = 0; CALL privacy_scan.run_split('\"Evidence_wide\"');"
merged="CALL privacy_scan.run_merge(:'months');"
months="SELECT array_agg(partition) AS months FROM privacy_scan.partition_bounds('\"Evidence\"') WHERE upper_bound <= '2026-01-01 00:00:00' \\gset"
analyzed=$(for ((month = 0; month < 24; month++)); do echo "ANALYZE twin_$month;"; done)
inserted="INSERT INTO \"Evidence\" SELECT 'x' || n, 1 + n % 6000, 'tracker', 1, '{\"domain\": \"tracker.example\"}', timestamp '2025-03-03' + n * interval '1 second' FROM generate_series(1, 20000) AS n;"
for ((round = 1; round <= ROUNDS; round++)); do
  measured "INSERT INTO twin SELECT * FROM ONLY \"Evidence_wide\"; $analyzed" >>"$RESULTS/insert"
  measured "$ours" >>"$RESULTS/split"
  measured "$merged" "$ours
$months" >>"$RESULTS/merge"
  on_copy <<SQL | tail -n 1 >>"$RESULTS/switch_merge"
$ours
$months
$merged
SELECT lock_held_ms, 0, 0 FROM privacy_scan.splits WHERE sources > 1;
SQL
  measured "$inserted" >>"$RESULTS/plain"
  measured "$inserted" "CALL until('copy');" >>"$RESULTS/captured"
  for changes in 0 20 100; do
    on_copy <<SQL >>"$RESULTS/switch$changes"
SET client_min_messages = error;
SET privacy_scan.split_rate = 0;
CALL until('switch');
UPDATE "Evidence" SET severity = 9 WHERE id IN (SELECT id FROM ONLY "Evidence_wide" TABLESAMPLE BERNOULLI (1) LIMIT $changes) AND $changes > 0;
CALL until('done');
SELECT lock_held_ms, 0, 0 FROM privacy_scan.splits;
SQL
  done
done
echo "$ROWS rows, 24 pieces, three indexes, a foreign key; medians of $ROUNDS rounds"
show insert split
show insert merge
echo "switch of the merge: locks held for $(median 1 "$RESULTS/switch_merge") ms"
show plain captured
for changes in 0 20 100; do
  echo "switch with up to $changes changes waiting: locks held for $(median 1 "$RESULTS/switch$changes") ms, at most $(cut -d' ' -f1 "$RESULTS/switch$changes" | sort -n | tail -n 1)"
done

# p99 MS: of a client that looks rows up and inserts new ones, beside a split with these settings ('' for none).
p99() {
  local logs=$RESULTS/logs.$1
  mkdir "$logs"
  psql_run -c 'CREATE DATABASE bench_copy TEMPLATE store' -c CHECKPOINT
  cat >"$logs/client.sql" <<SQL
\set n random(1, $ROWS)
SELECT kind FROM "Evidence" WHERE id = 'c' || lpad((:n)::text, 10, '0') || 'e';
INSERT INTO "Evidence" SELECT gen_random_uuid()::text, 1 + :n % 6000, 'tracker', 1, '{}', now();
SQL
  (cd "$logs" && exec "$(pg_dir bindir)/pgbench" -n -R 100 -T 600 -l --log-prefix=client -f client.sql bench_copy >/dev/null 2>&1) &
  echo $! >"$logs/pid"
  sleep 2
  if [ -n "$2" ]; then
    psql_run -d bench_copy -c "$2" -c "CALL privacy_scan.run_split('\"Evidence_wide\"')" 2>/dev/null
  else
    sleep 8
  fi
  kill "$(cat "$logs/pid")"
  wait
  psql_run -c 'DROP DATABASE bench_copy WITH (FORCE)'
  cut -d' ' -f3 "$logs"/client.*[0-9] | sort -n | awk -v way="$1" '{ v[NR] = $1 } END { printf "client, 100 transactions a second, %s: p50 %.1f, p99 %.1f, longest %.1f ms of %d\n", way, v[int(NR / 2)] / 1000, v[int(NR * 0.99)] / 1000, v[NR] / 1000, NR }'
}

p99 alone ''
p99 usual 'RESET privacy_scan.split_rate'
p99 unheld 'SET privacy_scan.split_rate = 0'
