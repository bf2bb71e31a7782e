#!/bin/sh
# Makes the Python environment of the project in the folder given. Needs a python3 of any recent version with venv.
# Where it is older than 3.12, uv (installed into a private environment) finds a newer one or fetches it.
set -eu
venv=${1:?usage: environment.sh FOLDER}
started=$(date +%s)
fail() { echo "set-up failed: $1" >&2; exit 1; }
command -v python3 >/dev/null 2>&1 || fail "there is no python3; install it (Debian: apt-get install python3 python3-venv)"
python3 -c 'import sys' 2>/dev/null || fail "python3 does not start; if pyenv manages it: pyenv install \$(cat .python-version)"
rm -rf "$venv" "$venv-uv"
new_enough='import sys; sys.exit(sys.version_info < (3, 12))'
if python3 -c "$new_enough"; then
    python3 -m venv "$venv" || fail "python3 has no venv module (Debian: apt-get install python3-venv)"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check uv || fail "pip cannot install uv; is a package index reachable?"
    uv="$venv/bin/uv"
else
    python3 -m venv "$venv-uv" || fail "python3 has no venv module (Debian: apt-get install python3-venv)"
    "$venv-uv/bin/python" -m pip install --quiet --disable-pip-version-check uv || fail "pip cannot install uv; is a package index reachable?"
    uv="$venv-uv/bin/uv"
    # The version of .python-version first, as it is developed on; any other that is new enough else.
    "$uv" venv --quiet "$venv" 2>/dev/null || "$uv" venv --quiet --python '>=3.12' "$venv" ||
        fail "no Python of 3.12 or later was found or could be fetched; install one and run again"
fi
"$uv" pip install --quiet --python "$venv/bin/python" --constraint deploy/constraints.txt --editable . --group dev ||
    fail "a package could not be installed; the lines above name it"
echo "environment ready in $(($(date +%s) - started)) s: $("$venv/bin/python" --version)"
