#!/bin/sh
# One synthetic data set as a store. usage: synthetic_store.sh PRESET STORE SEED
# PEOPLE, PART, SECONDS_EACH and WORKERS in the environment: 40, 10, 30 and one process a core.
set -eu
preset=$1
store=$2
seed=$3
people=${PEOPLE:-40}
part=${PART:-10}
workers=${WORKERS:+--workers $WORKERS}
case $preset in
pure-like) layout=pure ;;
mmpd-like) layout=mmpd ;;
*) layout=ubfc ;;
esac
# In parts, since raw video takes 27 MB a second.
raw=${store%.zarr}-raw first=1
while [ "$first" -le "$people" ]; do
    physkit synth --layout "$layout" --preset "$preset" --out "$raw" --seed "$seed" \
        --subjects "$part" --first_subject "$first" --seconds "${SECONDS_EACH:-30}" $workers
    physkit prep --dataset "$layout" --raw "$raw" --out "$store" $workers
    rm -r "$raw"
    first=$((first + part))
done
