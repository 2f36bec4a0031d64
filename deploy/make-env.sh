#!/bin/sh
# Creates the secrets that docker-compose.yml needs, in .env beside it. It keeps every value that .env already
# has, so it may run again. It needs only a shell and the usual tools: no Node, no openssl.
set -eu
umask 077
cd "$(dirname "$0")/.."
touch .env
chmod 600 .env

secret() {
  # If the last line has no newline, the next line would be appended to it.
  if [ -n "$(tail -c 1 .env)" ]; then echo >> .env; fi
  if grep -q "^$1=." .env; then
    echo "$1: kept"
  else
    value=$(od -An -N 24 -tx1 /dev/urandom | tr -d ' \n')
    [ ${#value} -eq 48 ] || { echo 'There is no /dev/urandom to make secrets from.' >&2; exit 1; }
    printf '# %s\n%s=%s\n' "$2" "$1" "$value" >> .env
    echo "$1: made"
  fi
}

secret INGEST_TOKEN 'The token that senders of POST /internal/events put into the header x-ingest-token.'
secret TOCSIN_PASSWORD 'Password of the PostgreSQL role tocsin, of the API and the workers.'
secret TOCSIN_OWNER_PASSWORD 'Password of the PostgreSQL role tocsin_owner, of the tables and migrations.'
secret POSTGRES_PASSWORD 'Password of the PostgreSQL superuser. Fixed when the volume is created.'
secret TEMPORAL_POSTGRES_PASSWORD 'Password of the superuser of the PostgreSQL for Temporal. Fixed when its volume is created.'
