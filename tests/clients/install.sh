#!/bin/sh
# Installs the clients that tests/clients.rs and tests/conducting.rs talk through, from Debian's
# packages: psql, psycopg 3, asyncpg and node-postgres. As root or with sudo; safe to run again.
set -eu
export DEBIAN_FRONTEND=noninteractive
there() {
  command -v psql >/dev/null && /usr/bin/python3 -c 'import psycopg, psycopg_pool, asyncpg' 2>/dev/null \
    && NODE_PATH=/usr/share/nodejs node -e 'require("pg")' 2>/dev/null
}
if ! there && [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || {
    echo "install.sh: neither root nor sudo; please run it as root" >&2
    exit 1
  }
  exec sudo sh "$0"
fi
if ! there; then
apt-get update -qq
command -v node >/dev/null || apt-get install -qq -y --no-install-recommends nodejs >/dev/null
apt-get install -qq -y --no-install-recommends postgresql-client python3-psycopg python3-psycopg-pool \
  python3-asyncpg >/dev/null
if ! NODE_PATH=/usr/share/nodejs node -e 'require("pg")' 2>/dev/null; then
  # A Node.js that is not Debian's own (nodesource) does not satisfy Debian's dependency on
  # "nodejs:any"; then the modules, which are plain JavaScript, are unpacked where Debian has them.
  if ! apt-get install -qq -y --no-install-recommends node-pg >/dev/null 2>&1; then
    place=$(mktemp -d)
    trap 'rm -rf "$place"' EXIT
    chmod 755 "$place"
    (
      cd "$place"
      apt-get download -qq node-pg node-split2 node-xtend node-readable-stream >/dev/null
      for package in *.deb; do dpkg-deb -x "$package" /; done
    )
  fi
fi
fi
/usr/bin/python3 -c 'import psycopg, asyncpg; print("psycopg", psycopg.__version__, "asyncpg", asyncpg.__version__)'
NODE_PATH=/usr/share/nodejs node -e 'require("pg"); console.log("node-postgres", require("pg/package.json").version)'
psql --version
