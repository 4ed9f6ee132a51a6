#!/usr/bin/env bash
# Run by srun on each node of a training over several: enter the image there and start the launcher, with the first node
# of the allocation as the place where the nodes meet.
#   on_node.sh IMAGE "ARGUMENTS OF APPTAINER" COMMAND...        IMAGE is - where jobs run outside of images
set -euo pipefail
image=$1 arguments=$2
shift 2

first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$(scontrol show node "$first" --oneliner | sed 's/.* NodeAddr=\([^ ]*\) .*/\1/')
export PET_MASTER_ADDR=$address PET_MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000)) PET_NODE_RANK=$SLURM_NODEID

if [ "$image" = - ]; then exec "$@"; fi
handed_in='^(PET_|NEBULA_)|^(PYTHONPATH|TOKENIZERS_PARALLELISM|HF_HUB_OFFLINE|CUDA_VISIBLE_DEVICES)$'
# All that scripts/common/numerics.py sets.
numerics='^(OMP_NUM_THREADS|PYTHONHASHSEED|ATEN_CPU_CAPABILITY|MKL_CBWR|ONEDNN_MAX_CPU_ISA|OPENBLAS_CORETYPE|NPY_DISABLE_CPU_FEATURES)$'
for name in $(compgen -e | grep -E "$handed_in|$numerics"); do export "APPTAINERENV_$name=${!name}"; done
# shellcheck disable=SC2086  # several arguments in one
exec apptainer exec --home "$PWD" $arguments "$image" "$@"
