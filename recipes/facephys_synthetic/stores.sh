#!/bin/sh
# Three synthetic data sets as stores: ubfc-like.zarr, pure-like.zarr, mmpd-like.zarr.
# usage: stores.sh OUT; see README.md
set -eu
out=$1
people=${PEOPLE:-40}
part=${PART:-10}
seconds=${SECONDS_EACH:-30}
workers=${WORKERS:+--workers $WORKERS}

mkdir -p "$out"
seed=100 # not that of ../synthetic_presets, whose people are for testing
for layout in ubfc pure mmpd; do
    seed=$((seed + 1)) # so that nobody is in two data sets
    raw=$out/$layout-raw first=1
    # In parts, since raw video takes 27 MB a second.
    while [ "$first" -le "$people" ]; do
        physkit synth --layout "$layout" --preset "$layout-like" --out "$raw" --seed "$seed" \
            --subjects "$part" --first_subject "$first" --seconds "$seconds" $workers
        physkit prep --dataset "$layout" --raw "$raw" --out "$out/$layout-like.zarr" $workers
        rm -r "$raw"
        first=$((first + part))
    done
done
