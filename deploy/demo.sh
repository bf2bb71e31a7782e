#!/bin/sh
# The main job once, on generated data: archive files in, a published cube out, read back by plain xarray.
set -eu
bin=${1:?usage: demo.sh BIN FOLDER} demo=${2:?usage: demo.sh BIN FOLDER}
started=$(date +%s)
mkdir -p "$demo"
cp examples/demo/cube.yaml "$demo/cube.yaml"
if [ ! -d "$demo/archive" ]; then
    rm -rf "$demo/archive.part"
    "$bin/cube" sample-archive "$demo/archive.part"
    mv "$demo/archive.part" "$demo/archive"
fi
# The table comes from `status`, so that it is the same whether there was anything to do or not.
"$bin/cube" build --spec "$demo/cube.yaml" >/dev/null
"$bin/cube" status --spec "$demo/cube.yaml"
"$bin/python" examples/demo/read.py "$demo/cube"
echo "the demo ran in $(($(date +%s) - started)) s"
