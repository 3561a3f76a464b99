#!/bin/sh
# Labels a dataset on one machine with eight GPUs, then trains a ResNet on its labels.
#
#   sh examples/cluster/eight_gpus.sh products ground_truth
#   TRAIN="--architecture resnet50" sh examples/cluster/eight_gpus.sh products ground_truth
#   GPUS=4 sh examples/cluster/eight_gpus.sh products ground_truth --embeddings timm/vit_base_patch14_reg4_dinov2
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
dataset=$1
field=$2
shift 2
gpus=${GPUS:-8}
python=${PYTHON:-python}

# A worker a GPU computes the embeddings.
"$python" "$here/label.py" "$dataset" "$field" --workers "$gpus" "$@"

# A process a GPU trains in step. TRAIN is split at its spaces.
# shellcheck disable=SC2086
sh "$here/torchrun.sh" "$gpus" train-resnet "$dataset" --label-field "$field" ${TRAIN:-}
