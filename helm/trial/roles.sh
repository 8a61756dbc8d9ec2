#!/bin/bash
# Run by the postgres image when its volume is new: the role that the migrations give rights to, and the login in it.
set -euo pipefail
password=$(</run/secrets/postgres-login-password)
psql -v ON_ERROR_STOP=1 -v password="$password" --username owner --dbname ringfence <<'SQL'
CREATE ROLE ringfence_app NOLOGIN;
CREATE ROLE ringfence LOGIN PASSWORD :'password' IN ROLE ringfence_app;
SQL
