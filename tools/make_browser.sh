#!/usr/bin/env bash
# A real browser for the tests of pages: Debian's Chromium. Where it can not be had those tests are skipped, and say so.
set -euo pipefail
if command -v chromium >/dev/null; then
  exit
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "no Chromium, and it can not be installed here: the tests that open a page are skipped"
  exit
fi
export DEBIAN_FRONTEND=noninteractive
{ timeout 120 apt-get update -qq && timeout 300 apt-get install -y -qq --no-install-recommends chromium; } >/dev/null ||
  echo "Chromium can not be installed here: the tests that open a page are skipped"
