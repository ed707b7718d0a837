# shellcheck shell=bash
# What scripts/demo and scripts/test share: packages, build, a throw-away cluster.
# Sourced, never run.  The caller has `set -euo pipefail` and this file next to it.

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/15/bin/pg_config}
export PG_CONFIG

# What building and running takes, and what only the tests take.
PACKAGES_RUN=(postgresql-15 postgresql-server-dev-15 clang-14 llvm-14 liblz4-dev libzstd-dev libssl-dev
  libxxhash-dev g++ make perl tzdata)
# shellcheck disable=SC2034  # used by scripts/test
PACKAGES_TEST=("${PACKAGES_RUN[@]}" postgresql-15-cron postgresql-15-pgtap
  libtap-parser-sourcehandler-pgtap-perl libipc-run-perl libgtest-dev libclang-rt-14-dev git)

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
die() { warn "$*"; exit 1; }

# --- leaving ------------------------------------------------------------------------------------
# Commands given to at_exit run in reverse order however the script ends; each is one word list
# without blanks inside its words.

AT_EXIT=()
at_exit() { AT_EXIT=("$*" "${AT_EXIT[@]}"); }
run_at_exit() {
  local status=$? command
  trap - EXIT INT TERM HUP
  for command in "${AT_EXIT[@]}"; do $command || true; done
  exit "$status"
}
trap run_at_exit EXIT
# Without these bash would run the EXIT trap only after the child in the foreground has ended.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# quietly COMMAND...: shows the command's output only if it fails.
quietly() {
  local log status=0
  log=$(mktemp)
  ("$@") >"$log" 2>&1 </dev/null || status=$?
  if [ "$status" -ne 0 ]; then
    warn "failed ($status): $*"
    tail -n 60 "$log" >&2
  fi
  rm -f "$log"
  return "$status"
}

# --- rights -------------------------------------------------------------------------------------

is_root() { [ "$(id -u)" -eq 0 ]; }
can_be_root() { is_root || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }; }
as_root() { if is_root; then "$@"; else sudo -n "$@"; fi; }

# --- packages -----------------------------------------------------------------------------------

is_installed() {
  [ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null)" = 'ii ' ]
}

apt() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@"
}

# Debian's postgresql-15 makes and starts a cluster 15/main when it is installed for the first
# time.  We need none and must not take port 5432 on somebody's machine, so this is switched off
# for the time of the installation.  A cluster that exists is not touched by installing.
NO_MAIN_CLUSTER=/etc/postgresql-common/createcluster.d/privacy_scan.conf
forbid_main_cluster() {
  as_root mkdir -p "$(dirname "$NO_MAIN_CLUSTER")"
  echo 'create_main_cluster = false' | as_root tee "$NO_MAIN_CLUSTER" >/dev/null
}
allow_main_cluster() {
  [ -e "$NO_MAIN_CLUSTER" ] || return 0
  as_root rm -f "$NO_MAIN_CLUSTER"
  as_root rmdir --ignore-fail-on-non-empty "$(dirname "$NO_MAIN_CLUSTER")"
}

apt_install() {
  local status=0
  quietly apt update || warn "apt-get update failed; going on with the lists that are there"
  if ! is_installed postgresql-15; then
    at_exit allow_main_cluster
    forbid_main_cluster
  fi
  quietly apt install -y --no-install-recommends "$@" || status=$?
  allow_main_cluster
  return "$status"
}

# need_packages PACKAGE...: returns with all of them installed, or ends the script.
need_packages() {
  local package missing=()
  if ! command -v dpkg-query >/dev/null; then
    [ -x "$PG_CONFIG" ] || die "this is not a Debian; set PG_CONFIG and install the equivalents of: $*"
    return 0
  fi
  for package in "$@"; do is_installed "$package" || missing+=("$package"); done
  [ "${#missing[@]}" -gt 0 ] || return 0
  if ! can_be_root; then
    warn "packages are missing and this user cannot install them; please run"
    die "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}"
  fi
  say "installing ${missing[*]}"
  apt_install "${missing[@]}" || die "could not install the packages above"
}

# --- build --------------------------------------------------------------------------------------

pg_dir() { "$PG_CONFIG" "--$1"; }

# What the caller wants of make besides; the demo and the benchmarks run without JIT and need no bitcode.
MAKE_ARGS=()

# is_current DIR: is what was built there what is installed?
is_current() {
  local file
  for file in "$1"/*.so; do
    cmp -s "$file" "$(pg_dir pkglibdir)/${file##*/}" || return 1
  done
  for file in "$1"/*--*.sql "$1"/*.control; do
    cmp -s "$file" "$(pg_dir sharedir)/extension/${file##*/}" || return 1
  done
}

# install_from DIR: make install there, with more rights only if the server's folders ask for them.
install_from() {
  if [ -w "$(pg_dir pkglibdir)" ] && [ -w "$(pg_dir sharedir)/extension" ]; then
    make -s -C "$1" install PG_CONFIG="$PG_CONFIG" "${MAKE_ARGS[@]}"
  elif can_be_root; then
    as_root make -s -C "$1" install PG_CONFIG="$PG_CONFIG" "${MAKE_ARGS[@]}"
  elif ! is_current "$1"; then
    warn "installing needs more rights; please run"
    warn "  sudo make -C $1 install PG_CONFIG=$PG_CONFIG"
    return 1
  fi
}

# Joined by && because a caller that tests the result switches errexit off in here.
build_and_install() {
  make -s -C "$REPO" -j"$(nproc)" PG_CONFIG="$PG_CONFIG" "${MAKE_ARGS[@]}" && install_from "$REPO"
}

# --- a throw-away cluster -----------------------------------------------------------------------
# Everything of it is in CLUSTER_DIR: data, log and socket.  The directory is closed to other
# users, therefore `trust` is safe; it is on no network.  PostgreSQL refuses to run as root, so as
# root the server belongs to the user postgres.

CLUSTER_DIR=
CLUSTER_KEEP=no

server_user() { if is_root; then echo postgres; else id -un; fi; }

# run_as_server COMMAND...: as the user the server runs as, from a directory that user can read.
run_as_server() {
  if is_root; then
    (cd / && exec runuser -u "$(server_user)" -- "$@")
  else
    (cd / && exec "$@")
  fi
}

# Prints a directory for temporary files that the server's user can enter and whose name is short
# enough for a socket in it (107 bytes on Linux, ours adds about 40).
temp_root() {
  local dir=${TMPDIR:-/tmp}
  case $dir in *[[:space:]]*) dir=/tmp ;; esac
  if [ "${#dir}" -le 60 ] && run_as_server test -x "$dir"; then echo "$dir"; else echo /tmp; fi
}

# make_server_dir NAME: a new private directory of the server's user; prints its path.
make_server_dir() {
  local dir
  dir=$(mktemp -d "$(temp_root)/$1.XXXXXX")
  if is_root; then chown "$(server_user):" "$dir"; fi
  echo "$dir"
}

# Nothing of the caller's own connection settings may lead us to another server.
forget_pg_environment() {
  local name
  for name in "${!PG@}"; do
    case $name in PG_*) ;; *) unset "$name" ;; esac
  done
}

cluster_settings() {
  cat <<CONF
listen_addresses = ''
port = 5432
unix_socket_directories = '$CLUSTER_DIR'
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %a '
shared_buffers = 512MB
max_wal_size = 4GB
wal_level = replica
fsync = on
autovacuum = on
max_locks_per_transaction = 256
jit = off
CONF
  if [ "$#" -gt 0 ]; then printf '%s\n' "$@"; fi
}

# cluster_start NAME ['setting = value'...]: starts a cluster in a new directory NAME.XXXXXX and
# points libpq's environment at it.  It is removed when the script ends, unless CLUSTER_KEEP=yes.
cluster_start() {
  local bin name=$1
  shift
  bin=$(pg_dir bindir)
  CLUSTER_DIR=$(make_server_dir "$name")
  at_exit cluster_stop
  forget_pg_environment
  quietly run_as_server "$bin/initdb" -D "$CLUSTER_DIR/data" -U postgres -A trust \
    --encoding=UTF8 --locale=C.UTF-8
  cluster_settings "$@" | run_as_server tee -a "$CLUSTER_DIR/data/postgresql.conf" >/dev/null
  if ! quietly run_as_server "$bin/pg_ctl" -D "$CLUSTER_DIR/data" -l "$CLUSTER_DIR/log" -w start; then
    tail -n 20 "$CLUSTER_DIR/log" >&2
    return 1
  fi
  export PGHOST=$CLUSTER_DIR PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
}

cluster_stop() {
  [ -n "$CLUSTER_DIR" ] && [ "$CLUSTER_KEEP" = no ] || return 0
  if [ -e "$CLUSTER_DIR/data/postmaster.pid" ]; then
    quietly run_as_server "$(pg_dir bindir)/pg_ctl" -D "$CLUSTER_DIR/data" -m immediate -w stop || true
  fi
  rm -rf "$CLUSTER_DIR"
  CLUSTER_DIR=
}

# psql_run [ARGUMENT...]: psql on the cluster, quiet, without a pager, stopping at the first error.
psql_run() { "$(pg_dir bindir)/psql" -X -q -v ON_ERROR_STOP=1 -P pager=off "$@"; }

# psql_c SQL: runs it and prints bare values.
psql_c() { psql_run -At -c "$1"; }
