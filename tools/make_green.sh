#!/usr/bin/env bash
# Install gevent and eventlet beside the packages of .venv, below .green/, for tests/ends/test_green.py.
#
# They replace Python's threads, which no other test is to meet. What is there already is not made again; where they can
# not be installed, those tests are skipped, and say so.
set -euo pipefail
cd "$(dirname "$0")/.."

[ -e .green/made ] && exit
.venv/bin/python -m venv .green
.green/bin/python -m pip install --quiet --disable-pip-version-check gevent==26.9.0 eventlet==0.41.3 || {
  echo "gevent and eventlet can not be installed here: the tests of them are skipped"
  exit
}
site_packages='import sysconfig; print(sysconfig.get_path("purelib"))'
.venv/bin/python -c "$site_packages" >"$(.green/bin/python -c "$site_packages")/venv.pth"
touch .green/made
