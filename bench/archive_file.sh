#!/usr/bin/env bash
# An archive table as a file, against COPY (SELECT ..) TO PROGRAM 'zstd -3', in alternating rounds, each at the levels 1 and 3: time, size, CPU
# of the backend, and the memory that it takes; then the way back, into an empty table. Ours writes, syncs, reads back
# what it wrote, through the types' input functions, and compares digests, with a thread and a parallel worker; COPY writes, in
# two processes. CPU is that of all of them; memory that of the backend.
#
#   bench/archive_file.sh [ROWS [ROUNDS]]      default 300000 rows of about 550 bytes, 5 rounds
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

ROWS=${1:-300000}
ROUNDS=${2:-5}
need_packages "${PACKAGES_RUN[@]}" zstd
MAKE_ARGS=(with_llvm=no)
quietly build_and_install
FILES=$(make_server_dir ps-bench-files)
at_exit rm -rf "$FILES"
cluster_start ps-bench 'autovacuum = off' 'shared_buffers = 1GB' 'checkpoint_timeout = 1h' 'max_wal_size = 16GB' \
  'privacy_scan.retention_keep_partitions = 1' 'privacy_scan.retention_batch_rows = 1000000' "privacy_scan.archive_directory = '$FILES'"

psql_run -v rows="$ROWS" <<'SQL' >/dev/null 2>&1
CREATE EXTENSION privacy_scan;
CREATE FUNCTION stat_of(pid int) RETURNS text[] VOLATILE LANGUAGE sql AS $$
  SELECT string_to_array(split_part(pg_read_file('/proc/' || pid || '/stat'), ') ', 2), ' ') $$;
-- Of this process with all threads, of the children that it has waited for, and of workers that have ended; in ticks of 10 ms.
CREATE FUNCTION cpu_ms() RETURNS bigint VOLATILE LANGUAGE sql AS $$
  SELECT 10 * (SELECT sum(t::bigint) FROM unnest(m[12:15] || p[14:15]) t) FROM stat_of(pg_backend_pid()) m, stat_of(m[2]::int) p $$;
CREATE TABLE "Scan" (id text PRIMARY KEY, status text NOT NULL, "createdAt" timestamp(3) NOT NULL, meta jsonb);
CREATE TABLE "Evidence" (id text NOT NULL, "scanId" text NOT NULL REFERENCES "Scan" ON DELETE CASCADE, kind text,
  severity int, title text, details jsonb, "createdAt" timestamp(3) NOT NULL) PARTITION BY RANGE ("createdAt");
CREATE TABLE "Evidence_2020" PARTITION OF "Evidence" FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE "Evidence_new" PARTITION OF "Evidence" FOR VALUES FROM ('2021-01-01') TO ('2099-01-01');
CREATE INDEX ON "Evidence" ("scanId");
INSERT INTO "Scan" SELECT 'c' || lpad(n::text, 10, '0'), 'done', timestamp '2020-01-01' + n * interval '1 minute'
FROM generate_series(1, :rows / 50) AS n;
INSERT INTO "Evidence" SELECT s.id || 'e' || k, s.id, 'tracker', k % 5, 'evidence ' || k,
  jsonb_build_object('domain', 'tracker' || k % 97 || '.example', 'cookies', k % 7, 'excerpt',
    (SELECT string_agg(md5(s.id || k || i), ' ') FROM generate_series(1, 13) AS i)),
  s."createdAt" + k * interval '1 second'
FROM "Scan" AS s, generate_series(1, 50) AS k;
INSERT INTO "Scan" VALUES ('new', 'done', now());
INSERT INTO "Evidence" (id, "scanId", "createdAt") VALUES ('new', 'new', now());
VACUUM (FREEZE, ANALYZE);
SELECT privacy_scan.set_retention('"Scan"', '1 year', 'createdAt', archive => 'file');
CALL privacy_scan.run_retention('"Scan"', force => true, confirm => true);
VACUUM (FREEZE, ANALYZE);
CHECKPOINT;
SQL
ID=$(psql_c "SELECT id FROM privacy_scan.archives WHERE leaf LIKE '%Evidence_2020%'")
[ -n "$ID" ] || die 'the partition did not go whole'
LEAF=$(psql_c "SELECT leaf FROM privacy_scan.archives WHERE id = $ID")

# run_once STATEMENT: prints "ms cpu_ms anonymous_kB", the last being the most above what the session had before.
run_once() {
  local out pid least most now
  out=$(mktemp)
  psql_run -At -F ' ' <<SQL >"$out" 2>&1 &
SELECT pg_backend_pid();
SELECT count(*) FROM $LEAF \gset warm_
SELECT count(*) FROM privacy_scan.health() \gset warm_
SELECT pg_sleep(0.3) \gset warm_
SELECT clock_timestamp() AS begun, cpu_ms() AS cpu \gset
$1
SELECT round(1000 * extract(epoch FROM clock_timestamp() - :'begun'::timestamptz)), cpu_ms() - :cpu;
SQL
  until pid=$(sed -n 1p "$out") && [ -n "$pid" ]; do sleep 0.01; done
  least="" most=0
  while now=$(sed -n 's/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status" 2>/dev/null) && [ -n "$now" ]; do
    least=${least:-$now}
    if [ "$now" -gt "$most" ]; then most=$now; fi
    sleep 0.02
  done
  wait
  echo "$(tail -n 1 "$out") $((most - least))"
  rm -f "$out"
}

# median FIELD FILE
median() { cut -d' ' -f"$1" "$2" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

RESULTS=$(mktemp -d)
at_exit rm -rf "$RESULTS"
for ((round = 1; round <= ROUNDS; round++)); do
  for level in 3 1; do
    run_once "COPY (SELECT * FROM $LEAF) TO PROGRAM 'zstd -$level -q -f -o $FILES/copy_$level.zst' (FORMAT csv, HEADER);" \
      >>"$RESULTS/copy_$level"
    rm -f "$FILES"/archive_* # of the round before, which the next export would remove
    run_once "SET privacy_scan.archive_level = $level; BEGIN; SELECT file FROM privacy_scan.export_archive($ID) \gset
ROLLBACK;" >>"$RESULTS/ours_$level"
  done
done
psql_c "SELECT file FROM privacy_scan.export_archive($ID)" >/dev/null
psql_c "CREATE TABLE back (LIKE $LEAF)"
for ((round = 1; round <= ROUNDS; round++)); do
  run_once "TRUNCATE back; COPY back FROM PROGRAM 'zstd -dc $FILES/copy_1.zst' (FORMAT csv, HEADER);" >>"$RESULTS/copy_back"
  run_once "TRUNCATE back; SELECT privacy_scan.restore_file($ID, 'back') \gset" >>"$RESULTS/ours_back"
done

printf '%-10s %8s %8s %10s %12s\n' way ms 'cpu ms' 'rows/s' 'memory kB'
for way in copy_3 ours_3 copy_1 ours_1 copy_back ours_back; do
  awk -v way="$way" -v rows="$ROWS" -v ms="$(median 1 "$RESULTS/$way")" -v cpu="$(median 2 "$RESULTS/$way")" \
    -v kb="$(median 3 "$RESULTS/$way")" 'BEGIN { printf "%-10s %8d %8d %10d %12d\n", way, ms, cpu, rows * 1000 / ms, kb }'
done
for pair in 'ours_1 copy_3' 'ours_3 copy_3' 'ours_1 copy_1' 'ours_back copy_back'; do
  read -r ours copy <<<"$pair"
  paste -d' ' "$RESULTS/$ours" "$RESULTS/$copy" | awk -v what="$ours" '{ print $4 / $1 }' | sort -n |
    awk -v what="$ours / $copy" '{ v[NR] = $1 } END { printf "%s: speed %.2f (%.2f to %.2f)\n", what, v[int((NR + 1) / 2)], v[1], v[NR] }'
done
say "size: table $(psql_c "SELECT pg_size_pretty(pg_table_size('$LEAF'))"), text $(zstd -dc "$FILES/copy_3.zst" | wc -c) bytes," \
  "copy $(stat -c %s "$FILES/copy_3.zst") at level 3, $(stat -c %s "$FILES/copy_1.zst") at level 1, ours $(psql_c 'SELECT file_bytes FROM privacy_scan.archive_files')"
