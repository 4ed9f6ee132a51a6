#!/usr/bin/env bash
# srun runs this on each node of a multi-node training: it enters the image and starts the launcher, which contacts the
# first node of the allocation as its master.
#   on_node.sh IMAGE "ARGUMENTS OF APPTAINER" COMMAND...        IMAGE is - if jobs run outside images
set -euo pipefail
image=$1 arguments=$2
shift 2

first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(scontrol show node "$first" --oneliner | sed 's/.* NodeAddr=\([^ ]*\) .*/\1/')
export PET_MASTER_ADDR=$address PET_MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000)) PET_NODE_RANK=$SLURM_NODEID

if [ "$image" = - ]; then exec "$@"; fi
passed_through='^(PET_|NEBULA_)|^(PYTHONPATH|TOKENIZERS_PARALLELISM|HF_HUB_OFFLINE|CUDA_VISIBLE_DEVICES)$'
# The variables that scripts/common/numerics.py sets.
numerics='^(OMP_NUM_THREADS|PYTHONHASHSEED|ATEN_CPU_CAPABILITY|MKL_CBWR|ONEDNN_MAX_CPU_ISA|OPENBLAS_CORETYPE|NPY_DISABLE_CPU_FEATURES)$'
for name in $(compgen -e | grep -E "$passed_through|$numerics"); do export "APPTAINERENV_$name=${!name}"; done
# shellcheck disable=SC2086  # $arguments holds several arguments
exec apptainer exec --home "$PWD" $arguments "$image" "$@"
