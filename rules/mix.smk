"""mix: data sets of an exact size.

makes   results/<scale>/datasets/{dataset}/
needs   a pool's last step, a response set's verdicts, a graded set, or raw sources
"""


rule build_dataset:
    input:
        origin=lambda w: dataset_origin(CONFIG.datasets[w.dataset])[1],
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
        " --out {output} > {log} 2>&1"
