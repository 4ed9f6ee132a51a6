"""The NebulaExp-8B recipe, from raw corpora to tables.

snakemake --cores all                                   everything at `tiny` scale, on this machine
snakemake --profile slurm                               the paper's scale, on a cluster
snakemake results/tiny/cells/instruct/ins-grpo/ifeval.json    one cell and what it needs
snakemake cells | tables | instruct                     all cells, all tables, one table
"""

import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.27")
sys.path.insert(0, str(workflow.basedir))

from scripts.workflow.config import scale_file


# The scale's file overrides config.yaml; the user's --configfile and --config override both.
configfile: Path(workflow.basedir) / "config.yaml"
configfile: scale_file(config["scale"])


include: "rules/common.smk"
include: "rules/resources.smk"
include: "rules/containers.smk"
include: "rules/sources.smk"
include: "rules/curate.smk"
include: "rules/distill.smk"
include: "rules/mix.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/tables.smk"


localrules:
    all,
    data,
    cells,
    tables,


rule all:
    default_target: True
    input:
        PATHS.everything(),


rule data:
    input:
        [PATHS.dataset(name) for name in CONFIG.datasets],
        PATHS.at("funnel.json"),
        PATHS.audit(),


rule cells:
    input:
        [cell for name in CONFIG.tables for cell in PATHS.cells(name)],


rule tables:
    input:
        [PATHS.table(name) for name in CONFIG.tables],
