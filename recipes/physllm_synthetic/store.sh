#!/bin/sh
# 120 drawn people in the layout of PURE, with motion and light, and PhysNet's features of them.
# usage: store.sh STORE
set -eu
store=$1
raw=${store%.zarr}-raw
physkit synth --layout pure --preset pure-like --out "$raw" --subjects 120 --seconds 20 --seed 77 \
    --width 320 --height 240
physkit prep --dataset pure --raw "$raw" --out "$store" --size 72
rm -r "$raw"
physkit features "$store" --model "$(dirname "$0")/../../configs/model/physllm_minilm.yaml"
