"""train: checkpoints.

makes   results/<scale>/models/{model}/
needs   datasets/{dataset}/, the initial model, the teachers
"""


# The machine that runs Snakemake has a network; the nodes of a cluster often have none.
localrules:
    fetch_hub_model,


rule fetch_hub_model:
    output:
        outputs("fetch_hub_model"),
    log:
        log_of("fetch_hub_model"),
    wildcard_constraints:
        **names_of("fetch_hub_model"),
    container:
        image("fetch_hub_model")
    threads: cpus("fetch_hub_model")
    resources:
        **unsubmitted(),
    params:
        offline=OFFLINE,
        recipe=recipe("fetch_hub_model"),
    shell:
        "HF_HUB_OFFLINE={params.offline} python -m scripts.train.hub --recipe {params.recipe:q} --out {output} > {log} 2>&1"


rule pretrain_model:
    input:
        inputs("pretrain_model"),
    output:
        outputs("pretrain_model"),
    log:
        log_of("pretrain_model"),
    wildcard_constraints:
        **names_of("pretrain_model"),
    container:
        image("pretrain_model")
    threads: cpus("pretrain_model")
    resources:
        **resources("pretrain_model"),
    params:
        tracking=tracking,
        launch=launch("pretrain_model"),
        recipe=recipe("pretrain_model"),
    shell:
        "{params.tracking}{params.launch} scripts.train.pretrain --recipe {params.recipe:q}"
        " --dataset {input.dataset}"
        " --out {output} > {log} 2>&1"


rule finetune_model:
    input:
        inputs("finetune_model"),
    output:
        outputs("finetune_model"),
    log:
        log_of("finetune_model"),
    wildcard_constraints:
        **names_of("finetune_model"),
    container:
        image("finetune_model")
    threads: cpus("finetune_model")
    resources:
        **resources("finetune_model"),
    params:
        tracking=tracking,
        launch=launch("finetune_model"),
        recipe=recipe("finetune_model"),
    shell:
        "{params.tracking}{params.launch} scripts.train.sft --recipe {params.recipe:q}"
        " --dataset {input.dataset} --init {input.init}"
        " --out {output} > {log} 2>&1"


rule reinforce_model:
    input:
        inputs("reinforce_model"),
    output:
        outputs("reinforce_model"),
    log:
        log_of("reinforce_model"),
    wildcard_constraints:
        **names_of("reinforce_model"),
    container:
        image("reinforce_model")
    threads: cpus("reinforce_model")
    resources:
        **resources("reinforce_model"),
    params:
        tracking=tracking,
        launch=launch("reinforce_model"),
        recipe=recipe("reinforce_model"),
    shell:
        "{params.tracking}{params.launch} scripts.train.grpo --recipe {params.recipe:q}"
        " --dataset {input.dataset} --init {input.init}"
        " --out {output} > {log} 2>&1"


rule distill_model:
    input:
        inputs("distill_model"),
    output:
        outputs("distill_model"),
    log:
        log_of("distill_model"),
    wildcard_constraints:
        **names_of("distill_model"),
    container:
        image("distill_model")
    threads: cpus("distill_model")
    resources:
        **resources("distill_model"),
    params:
        tracking=tracking,
        launch=launch("distill_model"),
        teachers=lambda w: [f"{domain}={PATHS.model(name)}" for domain, name in sorted(PATHS.teachers(w.model).items())],
        recipe=recipe("distill_model"),
    shell:
        "{params.tracking}{params.launch} scripts.train.opd --recipe {params.recipe:q}"
        " --dataset {input.dataset} --init {input.init}"
        " --teachers {params.teachers} --out {output} > {log} 2>&1"
