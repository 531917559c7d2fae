#!/bin/sh
# Heart-rate errors of POS and of released FacePhys on the presets of physkit synth.
# usage: measure.sh FACEPHYS_WEIGHTS OUT [PRESET ...]; see README.md
set -eu
weights=$1
out=$2
shift 2

mkdir -p "$out"
[ $# -gt 0 ] || set -- clean ubfc-like pure-like mmpd-like
for preset; do
    store=$out/$preset.zarr
    "$(dirname "$0")/../synthetic_store.sh" "$preset" "$store" "${SEED:-0}"
    physkit evaluate --model pos --data "$store" \
        --score.protocol toolbox-2025-03 --out "$out/$preset-pos"
    physkit evaluate --model facephys --weights "$weights" --data "$store" \
        --score.protocol toolbox-2025-03 --out "$out/$preset-facephys"
done
