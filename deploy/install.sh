#!/bin/sh
# Makes $VENV and installs $LOCK into it, by uv where it is at hand, else by pip.
set -eu
: "${PYTHON:=python3}" "${VENV:=.venv}" "${LOCK:=requirements.lock}"

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "error: Python 3.11 or newer is needed ($("$PYTHON" --version)); try: make PYTHON=python3.12" >&2
    exit 2
}
if command -v uv >/dev/null 2>&1; then
    [ -x "$VENV/bin/python" ] || uv venv --quiet --seed --python "$PYTHON" "$VENV"
    uv pip install --quiet --python "$VENV/bin/python" --require-hashes -r "$LOCK"
else
    [ -x "$VENV/bin/python" ] || "$PYTHON" -m venv "$VENV"
    # The lock names every package, so nothing is left to resolve; an older pip would, and ask for
    # the newest coverage as soon as one is published, since coverage[toml] is not the lock's word.
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check \
        --require-hashes --no-deps -r "$LOCK"
    "$VENV/bin/python" -m pip --disable-pip-version-check check >/dev/null || {
        "$VENV/bin/python" -m pip --disable-pip-version-check check >&2
        exit 1
    }
fi
