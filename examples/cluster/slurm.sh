#!/bin/sh
# Trains on two machines of a Slurm cluster with eight GPUs each; they share the images and EVENSET_DIR.
#
#   sbatch examples/cluster/slurm.sh train-resnet products --label-field ground_truth
#
#SBATCH --job-name=evenset
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
set -eu

: "${FIFTYONE_DATABASE_URI:?name the MongoDB that all machines reach, as mongodb://host:27017}"
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
exec srun torchrun --nnodes "$SLURM_NNODES" --nproc_per_node 8 --rdzv_backend c10d \
    --rdzv_endpoint "$first:29500" --rdzv_id "$SLURM_JOB_ID" -m evenset "$@"
