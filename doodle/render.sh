#!/usr/bin/env bash
# Renders the world: 30,000 training and 1,000 validation pictures a base style, held-out and extra ones, in two processes.
# Finished shards are kept, so that it can be run again. About 6 minutes on two cores, 6.5 GB.
# `render.sh --labels` writes the attributes of the finished shards anew, after a change of what counts as visible.
set -euo pipefail
cd "$(dirname "$0")/render"
[ -d node_modules ] || npm ci --no-audit --no-fund
out=${DOODLE_WORK:-../work}/renders
mkdir -p "$out"
jobs=()
labels=${1:-}
add() { [ -z "$labels" ] && [ -f "$out/$5.bin" ] || jobs+=("node $1 ${2:+$2 }$3 $4 $out/$5 ${6:-} $labels"); }
seed=1000
for style in big-smile micah personas adventurer; do
  seed=$((seed + 100)); add render.mjs $style 1000 $seed "$style.valid"
done
add render.mjs pixel-art 1000 1900 pixel-art.valid
for shard in 0 1 2 3 4 5; do
  for style in big-smile micah personas adventurer; do
    seed=$((seed + 1)); add render.mjs $style 5000 $seed "$style.$shard"
  done
  [ $shard = 0 ] && [ -z "$labels" ] && add extras.mjs "" 6000 7 extras
done
for style in big-smile micah personas adventurer; do
  seed=$((seed + 1)); add render.mjs $style 3000 $seed "$style.held-out" --held-out
done
add render.mjs pixel-art 3000 1901 pixel-art.held-out --held-out
printf '%s\n' "${jobs[@]}" | xargs -P 2 -I{} sh -c '{}'
