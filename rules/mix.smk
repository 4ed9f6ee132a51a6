"""mix: data sets of an exact size.

makes   results/<scale>/datasets/{dataset}/, embeddings/{encoder}/{pool}/ (where a data set's `select` names an encoder)
needs   a pool's last step, a response set's verdicts, a graded set, or raw sources
"""


rule encode_prompts:
    input:
        pool=lambda w: pool(w.pool),
        encoder=lambda w: model(w.encoder),
    output:
        f"{R}/embeddings/{{encoder}}/{{pool}}/manifest.json",
    log:
        f"{R}/logs/embeddings/{{encoder}}/{{pool}}.log",
    wildcard_constraints:
        encoder=one_of(CONFIG.models),
        pool=one_of(CONFIG.pools),
    container:
        image("serve")
    threads: cpus("mix.encode")
    resources:
        **resources("mix.encode"),
    params:
        recipe=recipe("scripts.mix.encode", "serve", lambda w: CONFIG.engine),
    shell:
        "python -m scripts.mix.encode --recipe {params.recipe:q} --pool {input.pool}"
        " --encoder {input.encoder} --out {output} > {log} 2>&1"


rule build_dataset:
    input:
        origin=lambda w: dataset_origin(CONFIG.datasets[w.dataset])[1],
        vectors=lambda w: vectors(CONFIG.datasets[w.dataset]),
    output:
        f"{R}/datasets/{{dataset}}/manifest.json",
    log:
        f"{R}/logs/datasets/{{dataset}}.log",
    wildcard_constraints:
        dataset=one_of(CONFIG.datasets),
    container:
        image("data")
    threads: cpus("mix.build")
    resources:
        **resources("mix.build"),
    params:
        option=lambda w: dataset_origin(CONFIG.datasets[w.dataset])[0],
        recipe=recipe(
            "scripts.mix.build",
            "data",
            lambda w: {
                "name": w.dataset,
                "dataset": CONFIG.datasets[w.dataset],
                "licences": {name: CONFIG.sources[name].licence for name in sources_of(CONFIG.datasets[w.dataset])},
            },
        ),
    shell:
        "python -m scripts.mix.build --recipe {params.recipe:q} {params.option} {input.origin}"
        " --vectors {input.vectors} --out {output} > {log} 2>&1"
