#!/bin/sh
# Creates or updates Temporal's two databases, on the PostgreSQL that SQL_HOST, SQL_PORT, SQL_USER and
# SQL_PASSWORD name. It runs in the image temporalio/admin-tools. To run it elsewhere, set SCHEMA to the
# directory of Temporal's schema.
set -eu

schema=${SCHEMA:-/etc/temporal/schema/postgresql/v12}
tool="temporal-sql-tool --plugin postgres12"

prepare() {
  database=$1
  versions=$2
  $tool --db "$database" create
  $tool --db "$database" setup-schema --version 0.0
  $tool --db "$database" update-schema --schema-dir "$versions"
}

prepare temporal "$schema/temporal/versioned"
prepare temporal_visibility "$schema/visibility/versioned"
