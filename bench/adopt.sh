#!/usr/bin/env bash
# A live table becomes a partition set by month while clients write to it: the usual copy (as guides print it, and with
# the table locked first), pg_partman's two documented ways, and ours by a time and by ids. For each way a fresh store:
# ROWS of evidence in 24 months, a tenth of it scans. Printed: seconds until all rows are in a partition set, the worst
# latency of a client, its statements that failed, acknowledged rows that are not there afterwards, how long ours held its
# strong lock, WAL (the clients' included), the most disk above that of the store.
#
#   bench/adopt.sh [ROWS [WAY...]]      default 3000000 copy copy-locked partman-offline partman-online ours-time ours-id
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

ROWS=${1:-3000000}
[ "$#" -gt 0 ] && shift
WAYS=("${@:-copy}")
[ "$#" -gt 0 ] || WAYS=(copy copy-locked partman-offline partman-online ours-time ours-id)
RATE=200 # statements a second, of four clients
need_packages "${PACKAGES_RUN[@]}"
[ -e "$(pg_dir sharedir)/extension/pg_partman.control" ] || need_packages postgresql-15-partman
MAKE_ARGS=(with_llvm=no)
quietly build_and_install
cluster_start ps-adopt 'checkpoint_timeout = 15min' 'max_wal_size = 8GB' 'max_locks_per_transaction = 512'

in_bench() { psql -XAtq -v ON_ERROR_STOP=1 -d bench "$@"; }

make_template() {
  psql -XAtq -v ON_ERROR_STOP=1 -c 'CREATE DATABASE template_bench'
  psql -XAtq -v ON_ERROR_STOP=1 -v scans="$((ROWS / 10))" -d template_bench <<'SQL'
SET client_min_messages = warning;
CREATE EXTENSION privacy_scan;
CREATE SCHEMA partman;
CREATE EXTENSION pg_partman SCHEMA partman;
CREATE FUNCTION cuid(at timestamptz, tail text) RETURNS text LANGUAGE sql VOLATILE AS
$$ SELECT privacy_scan.key_at('cuid', at) || lpad(tail, 16, '0') $$;
CREATE TABLE "Scan" (id text COLLATE "C" PRIMARY KEY, status text NOT NULL DEFAULT 'queued', n serial, "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE "Evidence" (id text COLLATE "C" PRIMARY KEY, "scanId" text COLLATE "C" NOT NULL, kind text, severity int, details jsonb,
  "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
INSERT INTO "Scan" (id, status, "createdAt") SELECT cuid(at, m::text), 'done', at
FROM generate_series(1, :scans) m, LATERAL (SELECT now() - m * (interval '23 months' / :scans)) t (at);
INSERT INTO "Evidence" SELECT s.id || '-' || k, s.id, 'cookie', k, jsonb_build_object('n', s.n, 'url', repeat(md5(s.id), 10), 'more', repeat(md5(k::text), 6)), s."createdAt"
FROM "Scan" s, generate_series(1, 10) k;
CREATE INDEX "Scan_n_idx" ON "Scan" (n);
CREATE INDEX "Evidence_scanId_idx" ON "Evidence" ("scanId");
ALTER TABLE "Evidence" ADD CONSTRAINT "Evidence_scanId_fkey" FOREIGN KEY ("scanId") REFERENCES "Scan" ON UPDATE CASCADE ON DELETE CASCADE;
VACUUM ANALYZE;
CHECKPOINT;
SQL
}

# --- the clients --------------------------------------------------------------------------------
# Each statement is a transaction; pgbench counts what was acknowledged, a script of inserts and one of look-ups.

start_clients() {
  cat >"$CLUSTER_DIR/insert.sql" <<'SQL'
\set scan random(1, :scans)
INSERT INTO "Evidence" (id, "scanId", kind) SELECT cuid(clock_timestamp(), 'b' || :client_id || '-' || nextval('bench_ids')), id, 'bench' FROM "Scan" WHERE n = :scan;
SQL
  cat >"$CLUSTER_DIR/read.sql" <<'SQL'
\set scan random(1, :scans)
SELECT count(*) FROM "Evidence" e JOIN "Scan" s ON s.id = e."scanId" WHERE s.n = :scan;
SQL
  in_bench -c 'CREATE SEQUENCE bench_ids'
  pgbench -n -c 4 -j 2 -T 36000 -R "$RATE" -D scans="$((ROWS / 10))" -l --log-prefix="$CLUSTER_DIR/log" \
    -f "$CLUSTER_DIR/insert.sql@7" -f "$CLUSTER_DIR/read.sql@3" bench >"$CLUSTER_DIR/clients.out" 2>"$CLUSTER_DIR/clients.err" &
  CLIENTS=$!
  sleep 3 # warm; their latency counts, too
}

stop_clients() {
  sleep 2
  kill -ALRM "$CLIENTS" 2>/dev/null || true # as if its time were over: it ends cleanly
  wait "$CLIENTS" || true
}

# Prints: worst latency in ms, failed clients, rows lost. The log has a line for each acknowledged transaction: client, number, microseconds, script.
look_at_clients() {
  cat "$CLUSTER_DIR"/log.* | awk '{ if ($3 > worst) worst = $3; if ($4 == 0) inserted++ } END { print worst / 1000, inserted }' >"$CLUSTER_DIR/seen"
  local worst inserted there
  read -r worst inserted <"$CLUSTER_DIR/seen"
  there=$(in_bench -c "SELECT count(DISTINCT id) FROM \"Evidence\" WHERE kind = 'bench'")
  printf '%.0f %s %s' "$worst" "$(grep -c 'aborted\|ERROR' "$CLUSTER_DIR/clients.err" || true)" "$((inserted > there ? inserted - there : 0))"
}

# --- the ways ---------------------------------------------------------------------------------------

make_parent() { # $1 its name: what the parent of the copying ways looks like
  cat <<SQL
CREATE TABLE $1 (id text COLLATE "C" NOT NULL, "scanId" text COLLATE "C" NOT NULL, kind text, severity int, details jsonb,
  "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP) PARTITION BY RANGE ("createdAt");
SQL
}

months() { # $1 the parent: a partition for each month from the first of the rows on
  cat <<SQL
SELECT format('CREATE TABLE %I PARTITION OF $1 FOR VALUES FROM (%L) TO (%L)', to_char(at, '"Evidence_"YYYY_MM'), at, at + interval '1 month')
FROM generate_series(date_trunc('month', now() - interval '24 months')::timestamp, date_trunc('month', now() + interval '2 months')::timestamp, '1 month') at \gexec
SQL
}

keys() { # $1 the parent
  cat <<SQL
ALTER TABLE $1 ADD PRIMARY KEY (id, "createdAt");
CREATE INDEX ON $1 ("scanId");
ALTER TABLE $1 ADD FOREIGN KEY ("scanId") REFERENCES "Scan" ON UPDATE CASCADE ON DELETE CASCADE;
SQL
}

copy() { # $1: a statement that comes first
  {
    echo "BEGIN; $1"
    make_parent new_evidence
    months new_evidence
    echo 'INSERT INTO new_evidence SELECT * FROM "Evidence";'
    keys new_evidence
    echo 'ALTER TABLE "Evidence" RENAME TO old_evidence; ALTER TABLE new_evidence RENAME TO "Evidence"; COMMIT;'
  } | in_bench -f - >/dev/null
}
way_copy() { copy ''; }
way_copy-locked() { copy 'LOCK TABLE "Evidence" IN SHARE ROW EXCLUSIVE MODE;'; }

way_partman-offline() {
  {
    echo 'BEGIN; ALTER TABLE "Evidence" RENAME TO old_evidence; ALTER INDEX "Evidence_pkey" RENAME TO old_pkey;'
    make_parent '"Evidence"'
    keys '"Evidence"'
    echo "SELECT partman.create_parent('public.Evidence', 'createdAt', 'native', 'monthly'); COMMIT;"
    echo "CALL partman.partition_data_proc('public.Evidence', p_interval := '1 week', p_batch := 1000, p_wait := 0, p_source_table := 'public.old_evidence');"
  } | PGOPTIONS='-c client_min_messages=warning' in_bench -f - >/dev/null
}

# The table becomes the DEFAULT partition, of which the months are then taken.
way_partman-online() {
  {
    echo 'CREATE UNIQUE INDEX CONCURRENTLY evidence_at ON "Evidence" (id, "createdAt");'
    make_parent new_evidence
    echo "SELECT partman.create_parent('public.new_evidence', 'createdAt', 'native', 'monthly', p_premake := 1, p_start_partition := (now() + interval '2 months')::text);"
    cat <<'SQL'
BEGIN;
LOCK TABLE "Evidence" IN ACCESS EXCLUSIVE MODE;
DROP TABLE new_evidence_default;
ALTER TABLE "Evidence" DROP CONSTRAINT "Evidence_pkey", ADD PRIMARY KEY USING INDEX evidence_at;
ALTER TABLE "Evidence" RENAME TO "Evidence_default";
ALTER TABLE new_evidence RENAME TO "Evidence";
ALTER TABLE "Evidence" ATTACH PARTITION "Evidence_default" DEFAULT;
SQL
    keys '"Evidence"'
    cat <<'SQL'
UPDATE partman.part_config SET parent_table = 'public.Evidence', premake = 4 WHERE parent_table = 'public.new_evidence';
COMMIT;
CALL partman.partition_data_proc('public.Evidence', p_batch := 1000, p_wait := 0);
SQL
  } | PGOPTIONS='-c client_min_messages=warning' in_bench -f - >/dev/null
}

adopt() { # $1 table, $2 key
  in_bench >/dev/null <<SQL
SET client_min_messages = warning;
SELECT sql FROM privacy_scan.adopt_table('$1', '$2', every => '1 month') WHERE state = 'yours' \gexec
CALL privacy_scan.run_adoption('$1');
SQL
}
way_ours-time() { adopt '"Evidence"' createdAt; }
# The whole family: the scans by their id, the evidence by its scan's.
way_ours-id() {
  adopt '"Scan"' id
  adopt '"Evidence"' scanId
}

# --- one run ------------------------------------------------------------------------------------------

database_mb() { psql -XAtq -c "SELECT pg_database_size('bench') / 1048576"; }
watch_size() {
  local mb most=0
  while sleep 1; do
    mb=$(database_mb) || break
    [ "$mb" -le "$most" ] || echo "$mb" >"$CLUSTER_DIR/most_mb"
    [ "$mb" -le "$most" ] || most=$mb
  done
}

run() {
  local way=$1 begun lsn size watcher seconds state=finished held
  psql -XAtq -v ON_ERROR_STOP=1 -c 'SET client_min_messages = warning' -c 'DROP DATABASE IF EXISTS bench' -c 'CREATE DATABASE bench TEMPLATE template_bench' -c CHECKPOINT
  rm -f "$CLUSTER_DIR"/log.*
  size=$(database_mb)
  echo "$size" >"$CLUSTER_DIR/most_mb"
  start_clients
  watch_size &
  watcher=$!
  lsn=$(psql -XAtq -c 'SELECT pg_current_wal_lsn()')
  begun=$(date +%s.%N)
  "way_$way" || state=failed
  seconds=$(echo "$(date +%s.%N) $begun" | awk '{ printf "%.1f", $1 - $2 }')
  stop_clients
  kill "$watcher"
  wait "$watcher" 2>/dev/null || true
  held=$(in_bench -c "SELECT coalesce(string_agg(round(lock_held_ms::numeric, 1)::text, ' + ' ORDER BY started_at), '') FROM privacy_scan.adoption_states")
  read -r worst failed lost <<<"$(look_at_clients)"
  printf '| %s | %s | %s | %s | %s | %s | %s | %s |\n' "$way" "$([ $state = finished ] && echo "$seconds" || echo "failed after $seconds")" "$worst" "$failed" "$lost" "$held" \
    "$(psql -XAtq -c "SELECT round((pg_current_wal_lsn() - '$lsn') / 1048576)")" "$(($(cat "$CLUSTER_DIR/most_mb") - size))"
}

make_template
say "$ROWS rows of evidence, $(psql -XAtq -c "SELECT pg_database_size('template_bench') / 1048576") MB, $RATE statements a second"
say '| way | s | worst latency, ms | clients that failed | rows lost | strong lock held, ms | WAL MB | disk MB |'
say '|---|---|---|---|---|---|---|---|'
for way in "${WAYS[@]}"; do run "$way"; done
