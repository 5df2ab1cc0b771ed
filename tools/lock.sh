#!/usr/bin/env bash
# Writes requirements/*.lock from pyproject.toml: exact versions with hashes, for every supported Python, without hosts.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
  local name=$1
  shift
  uv pip compile pyproject.toml "$@" --quiet --universal --python-version 3.10 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --custom-compile-command tools/lock.sh --output-file "requirements/$name.lock"
}
compile runtime --group build
compile test --group build --group test --extra onnxruntime
compile lint --group build --group test --group lint --extra onnxruntime
