#!/bin/sh
# Three synthetic data sets as stores: ubfc-like.zarr, pure-like.zarr, mmpd-like.zarr.
# usage: stores.sh OUT; see README.md
set -eu
mkdir -p "$1"
seed=100 # not that of ../synthetic_presets, whose people are for testing
for preset in ubfc-like pure-like mmpd-like; do
    seed=$((seed + 1)) # so that no person is in two data sets
    "$(dirname "$0")/../synthetic_store.sh" "$preset" "$1/$preset.zarr" "$seed"
done
