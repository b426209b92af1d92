# What the scripts beside it share. Sourced, not run; works with the bash 3.2 of macOS.

cd "$(dirname "${BASH_SOURCE[0]}")/.."
artifacts=_artifacts # logs and counts of the last run; not tracked

say() { printf '%s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }
in_ci() { [ "${CI:-}" = true ]; }

# as_user USER CMD… runs a command as an unprivileged user; only root can.
as_user() {
  local user=$1
  shift
  if have setpriv; then
    setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups -- "$@"
  else
    runuser -u "$user" -- "$@"
  fi
}

# apt_install PACKAGE… installs with apt if that can be done without asking anybody anything.
# What went wrong is left in the variable why.
apt_updated=
apt_install() {
  local root='' log=$artifacts/apt.log
  why=
  if ! have apt-get; then
    why='apt-get is not here; install it by hand'
    return 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    if ! { have sudo && sudo -n true 2>/dev/null; }; then
      why="not root and sudo would ask for a password; run: sudo apt-get install $*"
      return 1
    fi
    root='sudo -n'
  fi
  mkdir -p "$artifacts"
  say "installing with apt: $*"
  if [ -z "$apt_updated" ]; then
    apt_updated=1
    $root apt-get -q update >"$log" 2>&1 </dev/null || say "apt-get update failed (see $log); trying with the lists that are here"
  fi
  if ! $root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$@" >>"$log" 2>&1 </dev/null; then
    why="apt-get install $* failed; the end of $log says: $(tail -n 1 "$log")"
    return 1
  fi
}

# postgres_bin prints the folder of the PostgreSQL server programs, the newest if there are several.
postgres_bin() {
  local dir found=''
  for dir in /usr/local/opt/postgresql*/bin /opt/homebrew/opt/postgresql*/bin /usr/lib/postgresql/?/bin /usr/lib/postgresql/??/bin; do
    [ -x "$dir/initdb" ] && [ -x "$dir/pg_ctl" ] && found=$dir
  done
  if [ -z "$found" ] && have initdb && have pg_ctl; then
    found=$(dirname "$(command -v initdb)")
  fi
  [ -n "$found" ] && say "$found"
}

# postgres_start starts a throw-away server on a free loopback port and sets TEST_POSTGRES.
# Its folder is in the variable pg_dir; postgres_stop stops this server and no other.
pg_dir=
pg_bin=
pg_user=
postgres_start() {
  local bin port try
  bin=$(postgres_bin) || {
    why='no PostgreSQL server programs (initdb, pg_ctl) found'
    return 1
  }
  pg_bin=$bin
  # Short, since the path of the socket in it may have about 100 characters.
  pg_dir=$(mktemp -d /tmp/holdfast-pg.XXXXXX)
  if [ "$(id -u)" -eq 0 ]; then # PostgreSQL refuses to run as root
    pg_user=postgres
    id postgres >/dev/null 2>&1 || pg_user=nobody
    chown "$pg_user" "$pg_dir"
  fi
  # A language's collation, not "C": what is sorted without saying how shows up as a failing test.
  if ! postgres_as initdb -D "$pg_dir/data" -U holdfast -A trust -E UTF8 --no-sync \
    --locale=C --locale-provider=icu --icu-locale=en-US >"$pg_dir/initdb.log" 2>&1; then
    postgres_as rm -rf "$pg_dir/data"
    if ! postgres_as initdb -D "$pg_dir/data" -U holdfast -A trust -E UTF8 --no-sync --locale=C >"$pg_dir/initdb.log" 2>&1; then
      why="initdb failed: $(tail -n 1 "$pg_dir/initdb.log")"
      return 1
    fi
  fi
  local fsync=${HOLDFAST_TEST_POSTGRES_FSYNC:-off}
  {
    say "listen_addresses = '127.0.0.1'"
    say "unix_socket_directories = '$pg_dir'"
    say "max_connections = 300" # every test has its database and its pools
    say "fsync = $fsync"
    say "full_page_writes = $fsync"
    say "synchronous_commit = on"
    say "log_min_messages = warning"
  } | postgres_as tee -a "$pg_dir/data/postgresql.conf" >/dev/null
  # Below the ports that the system gives to outgoing connections; a port that is taken ends the start.
  for try in 1 2 3 4 5 6 7 8 9 10; do
    port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
    if postgres_as pg_ctl -D "$pg_dir/data" -l "$pg_dir/server.log" -o "-p $port" -w -t 60 start >/dev/null 2>&1; then
      export TEST_POSTGRES="postgres://holdfast@127.0.0.1:$port/postgres?sslmode=disable"
      return 0
    fi
  done
  why="PostgreSQL did not start in $try tries: $(tail -n 1 "$pg_dir/server.log" 2>/dev/null)"
  return 1
}

postgres_as() {
  local program=$1
  shift
  [ ! -x "$pg_bin/$program" ] || program=$pg_bin/$program
  # From a folder that the user may read: the working folder may be closed to it.
  if [ -n "$pg_user" ]; then
    (cd "$pg_dir" && as_user "$pg_user" "$program" "$@")
  else
    "$program" "$@"
  fi
}

postgres_stop() {
  [ -n "$pg_dir" ] || return 0
  if [ -e "$pg_dir/data/postmaster.pid" ]; then
    postgres_as pg_ctl -D "$pg_dir/data" -m immediate -w -t 60 stop >/dev/null 2>&1 || say "the PostgreSQL server in $pg_dir did not stop"
  fi
  rm -rf "$pg_dir"
  pg_dir=
}

# run_group CMD… runs a command in a process group of its own and hands it the signals that end a
# run, so that Ctrl-C reaches everything below it and this script goes on to clean up.
# The command has no standard input. Returns its exit status, or 130 and the like after a signal.
group=
signalled=
run_group() {
  local status
  signalled=
  set -m
  "$@" </dev/null &
  group=$!
  set +m
  trap 'pass_on INT 130' INT
  trap 'pass_on TERM 143' TERM
  trap 'pass_on HUP 129' HUP
  while :; do
    status=0
    wait "$group" || status=$?
    kill -0 "$group" 2>/dev/null || break # a signal ends the wait, not yet the command
  done
  trap - INT TERM HUP
  group=
  return "${signalled:-$status}"
}

pass_on() {
  signalled=$2
  kill -s "$1" -- "-$group" 2>/dev/null || true
}
