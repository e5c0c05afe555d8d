#!/usr/bin/env bash
# Adds one to a document that has a version, and does not look whether its UPDATE found that version.
set -euo pipefail
source "$(dirname "$0")/../lib/sessions.bash"

open worker
ask worker "select n, version from document where id = 1"
read -r n version <<<"${answer/|/ }"
ask worker "update document set n = $((n + 1)), version = version + 1 where id = 1 and version = $version"
close worker
echo "✓ added"
