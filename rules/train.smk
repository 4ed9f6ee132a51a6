"""train: checkpoints.

makes   results/<scale>/models/{model}/
needs   datasets/{dataset}/, the model it starts from, its teachers
"""


# Where Snakemake runs there is a network, on the nodes of a cluster often none.
localrules:
    fetch_hub_model,


rule fetch_hub_model:
    output:
        f"{R}/models/{{model}}/manifest.json",
    log:
        f"{R}/logs/models/{{model}}.log",
    wildcard_constraints:
        model=one_of(models_of("hub")),
    container:
        image("train")
    threads: cpus("train.hub")
    resources:
        **unsubmitted(),
    params:
        offline=OFFLINE,
        recipe=recipe("scripts.train.hub", "train", lambda w: CONFIG.models[w.model]),
    shell:
        "HF_HUB_OFFLINE={params.offline} python -m scripts.train.hub --recipe {params.recipe:q} --out {output} > {log} 2>&1"


rule pretrain_model:
    input:
        dataset=lambda w: dataset(CONFIG.models[w.model].dataset),
    output:
        f"{R}/models/{{model}}/manifest.json",
    log:
        f"{R}/logs/models/{{model}}.log",
    wildcard_constraints:
        model=one_of(models_of("pretrain")),
    container:
        image("train", "train.pretrain")
    threads: cpus("train.pretrain")
    resources:
        **resources("train.pretrain"),
    params:
        tracking=tracking,
        launch=launch("train.pretrain"),
        recipe=recipe("scripts.train.pretrain", "train", lambda w: {"training": CONFIG.training_of(w.model)}),
    shell:
        "{params.tracking}{params.launch} scripts.train.pretrain --recipe {params.recipe:q}"
        " --dataset {input.dataset}"
        " --out {output} > {log} 2>&1"


rule finetune_model:
    input:
        dataset=lambda w: dataset(CONFIG.models[w.model].dataset),
        init=lambda w: model(CONFIG.models[w.model].init),
    output:
        f"{R}/models/{{model}}/manifest.json",
    log:
        f"{R}/logs/models/{{model}}.log",
    wildcard_constraints:
        model=one_of(models_of("sft")),
    container:
        image("train", "train.sft")
    threads: cpus("train.sft")
    resources:
        **resources("train.sft"),
    params:
        tracking=tracking,
        launch=launch("train.sft"),
        recipe=recipe("scripts.train.sft", "train", lambda w: {"training": CONFIG.training_of(w.model)}),
    shell:
        "{params.tracking}{params.launch} scripts.train.sft --recipe {params.recipe:q}"
        " --dataset {input.dataset} --init {input.init}"
        " --out {output} > {log} 2>&1"


rule reinforce_model:
    input:
        dataset=lambda w: dataset(CONFIG.models[w.model].dataset),
        init=lambda w: model(CONFIG.models[w.model].init),
    output:
        f"{R}/models/{{model}}/manifest.json",
    log:
        f"{R}/logs/models/{{model}}.log",
    wildcard_constraints:
        model=one_of(models_of("grpo")),
    container:
        image("train", "train.grpo")
    threads: cpus("train.grpo")
    resources:
        **resources("train.grpo"),
    params:
        tracking=tracking,
        launch=launch("train.grpo"),
        recipe=recipe(
            "scripts.train.grpo",
            "train",
            lambda w: {
                "training": CONFIG.training_of(w.model),
                "thinking": CONFIG.models[w.model].thinking,
                "verify": CONFIG.verify,
            },
        ),
    shell:
        "{params.tracking}{params.launch} scripts.train.grpo --recipe {params.recipe:q}"
        " --dataset {input.dataset} --init {input.init}"
        " --out {output} > {log} 2>&1"


rule distill_model:
    input:
        dataset=lambda w: dataset(CONFIG.models[w.model].dataset),
        init=lambda w: model(CONFIG.models[w.model].init),
        teachers=lambda w: [model(name) for name in dict.fromkeys(teachers_of(w.model).values())],
    output:
        f"{R}/models/{{model}}/manifest.json",
    log:
        f"{R}/logs/models/{{model}}.log",
    wildcard_constraints:
        model=one_of(models_of("opd")),
    container:
        image("train", "train.opd")
    threads: cpus("train.opd")
    resources:
        **resources("train.opd"),
    params:
        tracking=tracking,
        launch=launch("train.opd"),
        recipe=recipe(
            "scripts.train.opd",
            "train",
            lambda w: {
                "training": CONFIG.training_of(w.model),
                "thinking": CONFIG.models[w.model].thinking,
            },
        ),
        teachers=lambda w: [f"{domain}={model(name)}" for domain, name in sorted(teachers_of(w.model).items())],
    shell:
        "{params.tracking}{params.launch} scripts.train.opd --recipe {params.recipe:q}"
        " --dataset {input.dataset} --init {input.init}"
        " --teachers {params.teachers} --out {output} > {log} 2>&1"
