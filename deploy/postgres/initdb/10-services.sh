#!/bin/sh
# Run once, by the database's own entrypoint, when it is made: a database and a role for each service. A role owns
# its database and nothing else; it is no superuser, makes no roles and cannot connect to the others' databases.
set -eu
for service in registry issuer verifier; do
  SERVICE_PASSWORD_FILE="${service}_password" \
    psql --quiet --set ON_ERROR_STOP=1 --set service="$service" --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\set password `cat "/run/secrets/$SERVICE_PASSWORD_FILE"`
CREATE ROLE :"service" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'password';
CREATE DATABASE :"service" OWNER :"service";
REVOKE ALL ON DATABASE :"service" FROM PUBLIC;
SQL
done
psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
  --command 'REVOKE CONNECT ON DATABASE postgres FROM PUBLIC'
