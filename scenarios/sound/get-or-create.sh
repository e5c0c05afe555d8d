#!/usr/bin/env bash
# Looks for a tag, makes it where there is none, and looks once more where another was quicker: the "get or
# create" of many libraries. Then counts its own use of the tag.
set -uo pipefail
source "$(dirname "$0")/../lib/sessions.bash"

look="select id from tag where name = 'news'"

open worker
ask worker "$look" || exit 1
if [[ -z $answer ]]; then
  if ! ask worker "insert into tag (name) values ('news')"; then
    [[ $sqlstate == 23505 ]] || exit 1
  fi
  ask worker "$look" || exit 1
fi
ask worker "insert into use (tag) values ($answer)" || exit 1
close worker
echo "✓ tagged"
