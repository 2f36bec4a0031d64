#!/bin/sh
# Makes the secrets that docker-compose.yml needs, once, in .env beside it. What .env has already stays as it
# is. Needs nothing but a shell and the usual tools: no Node, no openssl.
set -eu
umask 077
cd "$(dirname "$0")/.."
touch .env
chmod 600 .env

secret() {
  # A tail without its newline would join with what is added.
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

secret INGEST_TOKEN 'What senders of POST /internal/events give as x-ingest-token.'
secret TOCSIN_PASSWORD 'Of the PostgreSQL role that the API and the workers log in as.'
secret TOCSIN_OWNER_PASSWORD 'Of the PostgreSQL role that owns the tables and migrates.'
secret POSTGRES_PASSWORD 'Of the superuser there. Fixed when the volume is made.'
secret TEMPORAL_POSTGRES_PASSWORD 'Of the superuser of the PostgreSQL for Temporal. Fixed when the volume is made.'
