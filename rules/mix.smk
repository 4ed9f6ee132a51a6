"""mix: data sets of an exact size.

makes   results/<scale>/datasets/{dataset}/, embeddings/{encoder}/{pool}/ (if a data set's `select` names an encoder)
needs   a pool's last step, a response set's verdicts, a graded set, or raw sources
"""


rule encode_prompts:
    input:
        inputs("encode_prompts"),
    output:
        outputs("encode_prompts"),
    log:
        log_of("encode_prompts"),
    wildcard_constraints:
        **names_of("encode_prompts"),
    container:
        image("encode_prompts")
    threads: cpus("encode_prompts")
    resources:
        **resources("encode_prompts"),
    params:
        recipe=recipe("encode_prompts"),
    shell:
        "python -m scripts.mix.encode --recipe {params.recipe:q} --pool {input.pool}"
        " --encoder {input.encoder} --out {output} > {log} 2>&1"


rule build_dataset:
    input:
        inputs("build_dataset"),
    output:
        outputs("build_dataset"),
    log:
        log_of("build_dataset"),
    wildcard_constraints:
        **names_of("build_dataset"),
    container:
        image("build_dataset")
    threads: cpus("build_dataset")
    resources:
        **resources("build_dataset"),
    params:
        option=lambda w: PATHS.dataset_origin(CONFIG.datasets[w.dataset])[0],
        recipe=recipe("build_dataset"),
    shell:
        "python -m scripts.mix.build --recipe {params.recipe:q} {params.option} {input.origin}"
        " --vectors {input.vectors} --out {output} > {log} 2>&1"
