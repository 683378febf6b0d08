#!/usr/bin/env bash
# Sets up the Python peers of the benches: benches/peers/setup.sh [FOLDER]   (default: .venv-peers)
#
# The package index's default torch for Linux carries gigabytes of CUDA libraries that no bench
# uses. Its CPU build computes the same; to take it, give pip its index first:
#   PIP_EXTRA_INDEX_URL=<PyTorch's index of CPU builds> benches/peers/setup.sh
# with torch==VERSION+cpu in requirements.txt.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
venv="${1:-$here/../../.venv-peers}"
python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --upgrade pip
"$venv/bin/python" -m pip install --quiet -r "$here/requirements.txt"
"$venv/bin/python" - <<'PY'
import monai, onnxruntime, openvino, SimpleITK, torch
print("torch", torch.__version__, "| onnxruntime", onnxruntime.__version__, "| openvino",
      openvino.__version__.split("-")[0], "| monai", monai.__version__, "| SimpleITK",
      SimpleITK.Version().VersionString())
PY
found=""
for library in libtcmalloc_minimal.so.4 libjemalloc.so.2; do
  if ldconfig -p | grep -q "$library"; then found="$found $library"; fi
done
if [ -z "$found" ]; then
  echo "PyTorch is slower without a tuned allocator; on Debian and Ubuntu:" >&2
  echo "  apt-get install libtcmalloc-minimal4 libjemalloc2" >&2
fi
command -v g++ >/dev/null || echo "torch.compile (window --all-variants) needs g++" >&2
