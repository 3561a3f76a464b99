#!/bin/sh
# Trains on several processes of this machine: one a GPU, or a few on its cores.
#
#   sh examples/cluster/torchrun.sh 8 train-resnet products --label-field ground_truth
set -eu

count=$1
shift
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"  # of each process
exec torchrun --standalone --nproc_per_node "$count" -m evenset "$@"
