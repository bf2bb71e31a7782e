#!/bin/sh
# Prepares the bucket: makes it, lets everybody read below the store (Swarm's policy dialect), sets CORS. Run it once, on
# a sci server; running it again changes nothing. Keys come from https://s3-portal.jasmin.ac.uk.
#
#   sh deploy/jasmin/store.sh [SPEC]
set -eu
spec=${1:-deploy/jasmin/cube.yaml}
file=$HOME/.config/climate-impact-cube/environment
fail() { echo "store.sh: $1" >&2; exit 2; }
if grep -Eq '^[^#]*(TENANCY|MYGWS|MYUSER)' "$spec"; then
    fail "$spec still holds TENANCY, MYGWS or MYUSER: edit it first"
fi
if [ -e "$file" ]; then
    [ "$(stat -L -c %a "$file")" = 600 ] || fail "chmod 600 $file: it holds secrets"
    set -a
    # shellcheck source=/dev/null
    . "$file"
    set +a
fi
cube=${CUBE_HOME:?set CUBE_HOME to the Python environment}/bin/cube
"$cube" init --spec "$spec"
# Rows `public read`, `public write` and `CORS` say whether the server understood. If `public read` is a problem, compare
# the bucket's permissions in the portal (or `s3cmd info s3://BUCKET`) with this statement:
#   {"Effect": "Allow", "Principal": {"anonymous": ["*"]}, "Action": ["GetObject", "ListBucket"], "Resource": "..."}
# If only `CORS` is a warning: `s3cmd setcors FILE s3://BUCKET`; the server may want the action GetBucketCORS as well.
"$cube" doctor --no-plan --spec "$spec"
