#!/bin/bash
# One stage of a wave, as one task of a SLURM array job: $1 is the wave's folder, N.words in it the command of the task
# N, words that end in NUL. The stage is put back into the queue shortly before SLURM's time limit, and goes on from
# what it has written: its folder stays the same.
set -u
here="$1/$SLURM_ARRAY_TASK_ID"
[ -e "$here.exit" ] && exit 0 # it had ended when its node was lost
mapfile -d '' -t words <"$here.words"

"${words[@]}" &
runner=$!

# The runner kills all that the stage has started before it ends.
stop() {
  kill -TERM "$runner" 2>/dev/null
  wait "$runner"
}
again() {
  stop
  [ -e "$here.exit" ] && exit 0
  echo "note: SLURM's time limit was near: the stage goes back into the queue"
  scontrol requeue "$SLURM_JOB_ID"
  exit 1
}
trap again USR1
trap 'stop; exit 143' TERM

while kill -0 "$runner" 2>/dev/null; do
  wait "$runner"
done
