#!/bin/sh
# Make .venv hold exactly what requirements.lock names, plus this checkout. Does nothing when that is already so.
# Needs a Python >= 3.12 with its venv module; PYTHON=/path/to/python chooses one.
set -eu
cd "$(dirname "$0")/.."
venv=.venv
stamp=$venv/.installed
log=$venv/install.log

# What the environment was made from, and where: a moved checkout or a changed lock file installs anew.
fingerprint() { cat pyproject.toml requirements.lock tools/bootstrap.sh | cksum; pwd; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1; }
# A folder called .venv without its pyvenv.cfg is no environment: pip would install into the Python behind it.
is_venv() { "$1" -c 'import pip, sys; sys.exit(sys.prefix == sys.base_prefix)' >/dev/null 2>&1; }
has_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

candidates() {
    if [ -n "${PYTHON:-}" ]; then echo "$PYTHON"; fi
    for name in python3.13 python3.12 python3.14 python3 python; do command -v "$name" || true; done
    for path in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-9]*/bin/python; do
        if [ -x "$path" ]; then echo "$path"; fi
    done
    if command -v uv >/dev/null; then uv python find '>=3.12' 2>/dev/null || true; fi
}

# A candidate is run, not only found: a pyenv shim exists for versions that are not switched on, and then fails.
choose() {
    candidates | while IFS= read -r path; do
        if new_enough "$path" && has_venv "$path"; then echo "$path"; break; fi
    done
}

explain() {
    echo "funnelstats needs Python 3.12 or newer with its venv module; none was found. Looked at:"
    candidates | sort -u | while IFS= read -r path; do
        if ! version=$("$path" --version 2>&1); then version="does not run"
        elif ! new_enough "$path"; then version="$version, too old"
        elif ! has_venv "$path"; then version="$version, but without venv/ensurepip (Debian, Ubuntu: apt install python3-venv)"; fi
        echo "  $path: $version"
    done
    cat <<'END'
Any one of these provides it; then run the same make command again:
  pyenv          pyenv install 3.13
  uv             uv python install 3.13
  conda          conda create -n py313 python=3.13, then conda activate py313
  Debian, Ubuntu apt install python3.13-venv   (or python3.12-venv, whichever the release has)
  Windows, macOS the installer of python.org, or the system's package manager
A Python in an unusual place: make run PYTHON=/path/to/python
END
}

# Run a long pip command with its output in the log; say now and then how far it is.
with_progress() {
    total=$1; shift
    PYTHONUNBUFFERED=1 "$@" >>"$log" 2>&1 &
    pid=$!
    trap 'kill "$pid" 2>/dev/null; echo; echo "Stopped; the same make command goes on where it stopped."; exit 130' INT TERM HUP
    seconds=0
    while kill -0 "$pid" 2>/dev/null; do
        sleep 1
        seconds=$((seconds + 1))
        if [ -t 1 ]; then printf '\r      %s, %s s ' "$(how_far)" "$seconds"
        elif [ $((seconds % 30)) -eq 0 ]; then echo "      $(how_far), $seconds s"; fi
    done
    if [ -t 1 ]; then echo; fi
    wait "$pid"
}
how_far() {
    if grep -q '^Installing collected' "$log"; then echo "all $total packages at hand, unpacking them"
    else echo "$(grep -cE '^(Collecting|Processing|Ignoring) ' "$log" || true) of $total packages at hand"; fi
}

failed() {
    echo "The installation failed. The last lines of $log:"
    tail -n 15 "$log"
    echo "After mending the cause, run the same make command again; it goes on where it stopped."
    exit 1
}

if [ -f "$stamp" ] && new_enough $venv/bin/python && [ "$(cat "$stamp")" = "$(fingerprint)" ]; then exit 0; fi

if ! { new_enough $venv/bin/python && is_venv $venv/bin/python; }; then
    python=$(choose)
    if [ -z "$python" ]; then explain >&2; exit 1; fi
    echo "[1/3] Making $venv with $("$python" --version) ($python)"
    "$python" -m venv --clear $venv
else
    echo "[1/3] Using the $venv that is there, $($venv/bin/python --version)"
fi
rm -f "$stamp"
: >"$log"
total=$(grep -c '^[A-Za-z0-9]' requirements.lock)
echo "[2/3] Installing the packages of requirements.lock, every hash checked; the first time takes 1 to 10 minutes"
with_progress "$total" $venv/bin/python -m pip install --progress-bar off --require-hashes -r requirements.lock || failed
echo "[3/3] Installing this checkout"
$venv/bin/python -m pip install --no-deps --no-build-isolation --editable . >>"$log" 2>&1 || failed
fingerprint >"$stamp"
