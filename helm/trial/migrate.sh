#!/bin/bash
# campaign-api migrate, with the owner's address out of its secret.
set -euo pipefail
RINGFENCE_OWNER_URL=$(</run/secrets/postgres-owner-url)
export RINGFENCE_OWNER_URL
exec campaign-api migrate
