#!/usr/bin/env bash
# Measure yoloom beside everybody else, and write the pages and figures of it.
#
#     tools/make_bench.sh [--quick]
#
# What can not be installed or measured is left out, and said. All of it takes BENCH_MINUTES (28) at the most, unless
# installing alone takes ten: the field comes last, with what is left, and cuts its turns to that, but not below eight.
set -euo pipefail
cd "$(dirname "$0")/.."

minutes=${BENCH_MINUTES:-28}
python=.venv/bin/python
results=(--results benchmarks/results)

left() { # minutes, whole ones, for the field
  local left=$((minutes - (SECONDS + 59) / 60))
  echo $((left > 8 ? left : 8))
}

tools/make_oracle.sh files || echo "Ultralytics and its files are left out" >&2
tools/make_field.sh
$python benchmarks/hazards/run_hazards.py --minutes 6 "${results[@]}" "$@" || echo "the four patterns are left out" >&2
$python benchmarks/verify_adapters.py --minutes 5 "${results[@]}" "$@" || echo "verify's table is left out" >&2
$python benchmarks/field/run.py --minutes "$(left)" "${results[@]}" "$@"
$python tools/benchmarks_page.py
echo "took $((SECONDS / 60)) minutes"
