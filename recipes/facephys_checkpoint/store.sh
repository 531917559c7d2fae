#!/bin/sh
# The synthetic people that the shipped FacePhys was trained on, as a store.
# usage: store.sh STORE; see README.md. WORKERS in the environment: by default one process a core.
set -eu
store=$1
workers=${WORKERS:+--workers $WORKERS}
raw=${store%.zarr}-raw
for first in 1 41 81 121 161 201; do # in parts, since raw video takes 5 MB a second
    physkit synth --layout ubfc --preset varied --out "$raw" --seed 21 --subjects 40 \
        --first_subject "$first" --seconds 12 --width 280 --height 210 $workers
    physkit prep --dataset ubfc --raw "$raw" --out "$store" $workers
    rm -r "$raw"
done
