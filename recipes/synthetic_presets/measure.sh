#!/bin/sh
# Heart-rate errors of POS and of released FacePhys on the presets of physkit synth.
# usage: measure.sh FACEPHYS_WEIGHTS OUT [PRESET ...]; see README.md
set -eu
weights=$1
out=$2
shift 2
people=${PEOPLE:-40}
part=${PART:-10}
seconds=${SECONDS_EACH:-30}
seed=${SEED:-0}
workers=${WORKERS:+--workers $WORKERS}

mkdir -p "$out"
[ $# -gt 0 ] || set -- clean ubfc-like pure-like mmpd-like
for preset; do
    case $preset in
    pure-like) layout=pure ;;
    mmpd-like) layout=mmpd ;;
    *) layout=ubfc ;;
    esac
    # In parts, since raw video takes 27 MB a second.
    raw=$out/$preset-raw store=$out/$preset.zarr first=1
    while [ "$first" -le "$people" ]; do
        physkit synth --layout "$layout" --preset "$preset" --out "$raw" --seed "$seed" \
            --subjects "$part" --first_subject "$first" --seconds "$seconds" $workers
        physkit prep --dataset "$layout" --raw "$raw" --out "$store" $workers
        rm -r "$raw"
        first=$((first + part))
    done
    physkit evaluate --model pos --data "$store" \
        --protocol toolbox-2025-03 --out "$out/$preset-pos"
    physkit evaluate --model facephys --weights "$weights" --data "$store" \
        --protocol toolbox-2025-03 --out "$out/$preset-facephys"
done
