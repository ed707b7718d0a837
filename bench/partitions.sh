#!/usr/bin/env bash
# Partition sets of 10, 100 and 1000 daily partitions: creating 30 more, and a run that finds nothing to do. Ours
# against pg_partman (run_maintenance) and against bare DDL in a loop: the statements that ours runs (CREATE TABLE
# LIKE, ATTACH), and CREATE TABLE PARTITION OF. Alternating rounds, in an order that rotates; medians and ratios of
# the time that passed and of the CPU time of the backend.
#
#   bench/partitions.sh [ROUNDS [SIZE...]]      default 5 rounds of 10 100 1000
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

ROUNDS=${1:-5}
[ "$#" -gt 0 ] && shift
SIZES=("${@:-10}")
[ "$#" -gt 0 ] || SIZES=(10 100 1000)
WAYS=(like ours partman of)
need_packages "${PACKAGES_RUN[@]}" postgresql-15-partman
MAKE_ARGS=(with_llvm=no)
quietly build_and_install
cluster_start ps-bench 'autovacuum = off' 'checkpoint_timeout = 1h' 'max_locks_per_transaction = 1024'

# A set for each way: SIZE daily partitions up to tomorrow, an empty DEFAULT partition, four indexes, TOAST.
make_sets() {
  psql_run -c "SET client_min_messages = error" -c "DROP DATABASE IF EXISTS bench" -c "CREATE DATABASE bench"
  psql_run -d bench -v size="$1" >/dev/null <<'SQL'
CREATE EXTENSION privacy_scan;
CREATE SCHEMA partman;
CREATE EXTENSION pg_partman SCHEMA partman;
CREATE SCHEMA bench;
CREATE FUNCTION bench.make(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE TABLE bench.%I (id text NOT NULL, at timestamptz NOT NULL, kind text, severity int,'
    ' title text, details jsonb, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)', name);
  EXECUTE format('CREATE INDEX ON bench.%I (kind)', name);
  EXECUTE format('CREATE INDEX ON bench.%I (severity)', name);
  EXECUTE format('CREATE INDEX ON bench.%I (title)', name);
END $$;
-- The bare loops: the days from the first to the last, as offsets from today.
CREATE PROCEDURE bench.by_like(name text, first int, last int) LANGUAGE plpgsql AS $$
DECLARE
  day date;
BEGIN
  FOR i IN first .. last LOOP
    day := current_date + i;
    EXECUTE format('CREATE TABLE bench.%I (LIKE bench.%I INCLUDING ALL)', name || to_char(day, '_YYYY_MM_DD'), name);
    EXECUTE format('ALTER TABLE bench.%I ATTACH PARTITION bench.%I FOR VALUES FROM (%L) TO (%L)', name,
      name || to_char(day, '_YYYY_MM_DD'), day, day + 1);
  END LOOP;
END $$;
CREATE PROCEDURE bench.by_of(name text, first int, last int) LANGUAGE plpgsql AS $$
DECLARE
  day date;
BEGIN
  FOR i IN first .. last LOOP
    day := current_date + i;
    EXECUTE format('CREATE TABLE bench.%I PARTITION OF bench.%I FOR VALUES FROM (%L) TO (%L)',
      name || to_char(day, '_YYYY_MM_DD'), name, day, day + 1);
  END LOOP;
END $$;
SET timezone = 'UTC';
SELECT bench.make(name), count(*) FROM unnest(ARRAY['like', 'ours', 'partman', 'of']) AS name GROUP BY name;
SELECT count(*) FROM privacy_scan.manage_partitions('bench.ours', 'at', '1 day', premake => 1,
  start => current_date + 2 - :size);
SELECT partman.create_parent('bench.partman', 'at', 'native', 'daily', p_premake => 1,
  p_start_partition => (current_date + 2 - :size)::text);
CREATE TABLE bench.like_default PARTITION OF bench.like DEFAULT;
CREATE TABLE bench.of_default PARTITION OF bench.of DEFAULT;
CALL bench.by_like('like', 2 - :size, 1);
CALL bench.by_like('of', 2 - :size, 1);
-- Asked for 30 days more: pg_partman makes one more than it is asked for.
UPDATE privacy_scan.partition_policies SET premake = 31;
UPDATE partman.part_config SET premake = 30, infinite_time_partitions = true;
VACUUM (FREEZE, ANALYZE);
CHECKPOINT;
SQL
}

statement() {
  case $1 in
    like) echo "CALL bench.by_like('like', 2, 31)" ;;
    of) echo "CALL bench.by_of('of', 2, 31)" ;;
    ours) echo "SELECT count(*) FROM privacy_scan.maintain_partitions('bench.ours')" ;;
    partman) echo "SELECT partman.run_maintenance('bench.partman', p_analyze := false)" ;;
  esac
}

# measured STATEMENT: the lines that run it and print "ms cpu_ms".
measured() {
  local cpu="split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::bigint"
  cat <<SQL
SELECT clock_timestamp() AS begun, $cpu AS cpu \\gset
$1 \\g /dev/null
SELECT round(1000 * extract(epoch FROM clock_timestamp() - :'begun'::timestamptz), 3), round(($cpu - :cpu) / 1e6, 3);
SQL
}

# run_once WAY: creates 30 partitions, then has nothing to do, five times over; then drops the 30. Prints
# "ms cpu_ms" of the creation, of the first run with nothing to do in a new session, of the fifth.
run_once() {
  local way=$1 count
  psql_run -At -F ' ' -d bench <<SQL
SET timezone = 'UTC';
SET client_min_messages = error;
$(measured "$(statement "$way")")
SQL
  count=$(psql_run -At -d bench -c "SELECT count(*) FROM pg_inherits WHERE inhparent = 'bench.$way'::regclass")
  [ "$count" -eq $((SIZE + 31)) ] || die "$way: $count partitions instead of $((SIZE + 31))"
  if [ "$way" = ours ] || [ "$way" = partman ]; then
    psql_run -At -F ' ' -d bench <<SQL | sed -n '1p;5p'
SET timezone = 'UTC';
SET client_min_messages = error;
$(for _ in 1 2 3 4 5; do measured "$(statement "$way")"; done)
SQL
  fi
  psql_run -At -d bench <<SQL >/dev/null
SET timezone = 'UTC';
SELECT format('DROP TABLE %s', inhrelid::regclass) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
WHERE inhparent = 'bench.$way'::regclass AND pg_get_expr(relpartbound, c.oid) > format('FOR VALUES FROM (''%s', current_date + 2)
\\gexec
SQL
}

# median FIELD FILE
median() { cut -d' ' -f"$1" "$2" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# report NAME SUFFIX BASE WAY...: one line, medians and ratios to BASE.
report() {
  local what=$1 suffix=$2 base=$3 way base_ms base_cpu
  shift 3
  base_ms=$(median 1 "$LOGS/$base.$suffix")
  base_cpu=$(median 2 "$LOGS/$base.$suffix")
  for way in "$@"; do
    awk -v size="$SIZE" -v what="$what" -v way="$way" -v ms="$(median 1 "$LOGS/$way.$suffix")" \
      -v cpu="$(median 2 "$LOGS/$way.$suffix")" -v base="$base" -v bms="$base_ms" -v bcpu="$base_cpu" 'BEGIN {
        printf "| %d | %s | %s | %.2f | %.2f | %.2f | %.2f |\n", size, what, way, ms, cpu, ms / bms, cpu / bcpu }'
  done
}

LOGS=$(mktemp -d)
at_exit rm -rf "$LOGS"
say '| partitions | what | way | ms | CPU ms | ms ratio | CPU ratio |'
say '|---|---|---|---|---|---|---|'
for SIZE in "${SIZES[@]}"; do
  make_sets "$SIZE"
  rm -f "$LOGS"/*.create "$LOGS"/*.first "$LOGS"/*.warm
  for ((round = 0; round < ROUNDS; round++)); do
    for ((i = 0; i < ${#WAYS[@]}; i++)); do
      way=${WAYS[(round + i) % ${#WAYS[@]}]}
      run_once "$way" >"$LOGS/lines"
      sed -n 1p "$LOGS/lines" >>"$LOGS/$way.create"
      sed -n 2p "$LOGS/lines" >>"$LOGS/$way.first"
      sed -n 3p "$LOGS/lines" >>"$LOGS/$way.warm"
    done
  done
  report 'create 30' create like "${WAYS[@]}"
  report 'nothing to do, new session' first ours ours partman
  report 'nothing to do' warm ours ours partman
done
