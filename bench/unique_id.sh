#!/usr/bin/env bash
# What a unique check costs: CPU of the backend for each new row of evidence, in sets of 2, 12, 24 and 60 monthly partitions
# that hold 120,000 rows, with the check and without it, in alternating rounds: INSERTs of one row, a transaction each;
# COPY; UPDATEs of something else.
#
#   bench/unique_id.sh [ROUNDS [PARTITIONS...]]      default 5 rounds, 2 12 24 60
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"

ROUNDS=${1:-5}
shift || true
SIZES=("${@:-}")
[ -n "${SIZES[0]}" ] || SIZES=(2 12 24 60)
need_packages "${PACKAGES_RUN[@]}"
MAKE_ARGS=(with_llvm=no)
quietly build_and_install
cluster_start ps-bench 'autovacuum = off' 'shared_buffers = 1GB' 'checkpoint_timeout = 1h' 'max_wal_size = 16GB' 'synchronous_commit = off'
RESULTS=$(mktemp -d)
chmod 755 "$RESULTS"
at_exit rm -rf "$RESULTS"
psql_run -c 'CREATE DATABASE store'
psql_run -d store -c 'CREATE EXTENSION privacy_scan'

# An id such as an ORM makes, of a number; the last month is the one that is written to.
row="'c' || substr(md5(n::text || :'salt'), 1, 24), 's' || n % 5000, 'tracker', n % 5, 'cookie without consent',
  jsonb_build_object('domain', 'tracker' || n % 97 || '.example', 'cookies', n % 7, 'excerpt', repeat(md5(n::text), 8))"
for size in "${SIZES[@]}"; do
  for way in plain kept; do
    psql_run -d store -v salt=old <<SQL
CREATE TABLE ${way}_$size (id text NOT NULL, "scanId" text, kind text, severity int, title text, details jsonb,
  "createdAt" timestamp(3) NOT NULL, PRIMARY KEY (id, "createdAt")) PARTITION BY RANGE ("createdAt");
CREATE INDEX ON ${way}_$size ("scanId");
CREATE INDEX ON ${way}_$size ("createdAt");
SELECT format('CREATE TABLE ${way}_${size}_%s PARTITION OF ${way}_$size FOR VALUES FROM (%L) TO (%L)', m, timestamp '2021-01-01' + m * interval '1 month',
  timestamp '2021-02-01' + m * interval '1 month') FROM generate_series(0, $size - 1) AS m \\gexec
INSERT INTO ${way}_$size SELECT $row, timestamp '2021-01-01' + n % $size * interval '1 month' + n * interval '1 second' FROM generate_series(1, 120000) AS n;
SQL
  done
  psql_run -d store -c "CALL privacy_scan.add_unique_check('kept_$size', 'id')"
done
psql_run -d store -c 'VACUUM (FREEZE, ANALYZE)' -c CHECKPOINT

# statements KIND TABLE SIZE SALT: 2,000 of them, or one COPY of 20,000 rows.
statements() {
  local last="timestamp '2021-01-15' + ($3 - 1) * interval '1 month'"
  case $1 in
    insert) psql_run -At -d store -v salt="$4" <<<"SELECT format('INSERT INTO $2 VALUES (%L, %L, %L, %s, %L, %L, %L);', v.*) FROM (SELECT $row, $last + n * interval '1 second' FROM generate_series(1, 2000) AS n) AS v" ;;
    update) psql_run -At -d store <<<"SELECT format('UPDATE $2 SET severity = severity + 1 WHERE id = %L AND \"createdAt\" = %L;', id, \"createdAt\") FROM (SELECT id, \"createdAt\" FROM $2 ORDER BY md5(id || '$4') LIMIT 2000) AS v" ;;
    copy)
      psql_run -d store -v salt="$4" <<<"COPY (SELECT $row, $last + n * interval '1 second' FROM generate_series(1, 20000) AS n) TO '$RESULTS/rows/data'"
      echo "COPY $2 FROM '$RESULTS/rows/data';"
      ;;
  esac
}

# measured KIND TABLE SIZE SALT: CPU of the backend, microseconds a row.
measured() {
  statements "$@" >"$RESULTS/script"
  {
    cat <<SQL
SELECT count(*) AS warm FROM $2 \\gset
INSERT INTO $2 (id, "createdAt") VALUES ('warm$4', '2021-01-01');
SELECT split_part(pg_read_file('/proc/' || pg_backend_pid() || '/schedstat'), ' ', 1)::bigint AS cpu \\gset
SQL
    cat "$RESULTS/script"
    echo "SELECT (split_part(pg_read_file('/proc/' || pg_backend_pid() || '/schedstat'), ' ', 1)::bigint - :cpu) / 1e3 / $([ "$1" = copy ] && echo 20000 || echo 2000);"
  } | psql_run -At -d store | tail -n 1
}

mkdir "$RESULTS/rows"
chmod 777 "$RESULTS/rows"
for ((round = 1; round <= ROUNDS; round++)); do
  for size in "${SIZES[@]}"; do
    for kind in insert copy update; do
      ways=(plain kept)
      ((round % 2)) || ways=(kept plain)
      for way in "${ways[@]}"; do
        measured "$kind" "${way}_$size" "$size" "$round$kind$way" >>"$RESULTS/$kind.$size.$way"
      done
    done
  done
done

median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
echo "CPU of the backend in microseconds a row, medians of $ROUNDS rounds"
printf '%-8s %10s %10s %10s %8s %22s\n' kind partitions without with ratio 'more for a partition'
for kind in insert copy update; do
  for size in "${SIZES[@]}"; do
    awk -v k=$kind -v s="$size" -v p="$(median "$RESULTS/$kind.$size.plain")" -v w="$(median "$RESULTS/$kind.$size.kept")" \
      'BEGIN { printf "%-8s %10d %10.1f %10.1f %8.2f %22.2f\n", k, s, p, w, w / p, (w - p) / s }'
  done
done
