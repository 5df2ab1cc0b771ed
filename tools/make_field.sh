#!/usr/bin/env bash
# Make the environments of those that yoloom is measured beside (benchmarks/field/), below .field/, one for each.
#
#     tools/make_field.sh
#
# requirements/field-NAME.txt says what is in .field/NAME. One that can not be installed is left out, with the reason in
# .field/NAME.skipped; the next run tries it again. Needs python3 >= 3.11 and pip. Ultralytics is in .oracle, see
# tools/make_oracle.sh. None of them is part of yoloom.
set -euo pipefail
cd "$(dirname "$0")/.."

field=$PWD/.field

make_environment() { # make_environment NAME: in one of its own, from its pinned versions
  local name=$1 log=$field/$1.log wanted=requirements/field-$1.txt
  cmp -s "$wanted" "$field/$name/made-from.txt" && return
  rm -rf "${field:?}/$name" "$field/$name.skipped"
  if python3 -m venv "$field/$name" >"$log" 2>&1 &&
    "$field/$name/bin/python" -m pip install --disable-pip-version-check --quiet -r "$wanted" >>"$log" 2>&1; then
    cp "$wanted" "$field/$name/made-from.txt"
    return
  fi
  rm -rf "${field:?}/$name"
  { grep -i error "$log" || tail -n 1 "$log"; } | tail -n 1 | cut -c 1-200 >"$field/$name.skipped"
  echo "$name can not be installed, see $log: $(cat "$field/$name.skipped")" >&2
}

mkdir -p "$field"
for requirements in requirements/field-*.txt; do
  name=$(basename "$requirements" .txt)
  make_environment "${name#field-}"
done
echo "the field is in $field"
