#!/bin/sh
# Joins this machine to a Ray cluster. All machines have the same Evenset and read the images at the same paths.
#
#   sh examples/cluster/ray.sh                                   on the first machine; prints what the others need
#   sh examples/cluster/ray.sh HOST                              on every other machine; HOST is the first one
#   python examples/cluster/label.py products ground_truth      on the first machine
#   ray stop                                                     on every machine, at the end
#
# Where `ray get-auth-token` is known, every other machine first needs the first one's file ~/.ray/auth_token.
set -eu

export RAY_USAGE_STATS_ENABLED=0  # nothing is sent
if [ $# -eq 0 ]; then
    ray get-auth-token --generate >/dev/null 2>&1 || true  # older versions of Ray have none
    ray start --head --port 6379
    echo "others join by: sh examples/cluster/ray.sh $(hostname)"
else
    exec ray start --address "$1:6379"
fi
