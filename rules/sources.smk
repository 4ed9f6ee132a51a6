"""sources: raw corpora to records.

makes   results/<scale>/synthetic/, raw/{source}/
needs   what `sources:` names: the embedded generator, files below `corpora_dir`, pinned hub data sets
"""


rule synthesize_corpora:
    output:
        f"{R}/synthetic/manifest.json",
    log:
        f"{R}/logs/synthetic.log",
    container:
        image("data")
    threads: cpus("sources.synthesize")
    resources:
        **resources("sources.synthesize"),
    params:
        recipe=recipe("scripts.sources.synthesize", "data", lambda w: CONFIG.synthetic),
    shell:
        "python -m scripts.sources.synthesize --recipe {params.recipe:q} --out {output} > {log} 2>&1"


rule normalize_source:
    input:
        synthetic=lambda w: f"{R}/synthetic/manifest.json" if CONFIG.sources[w.source].kind == "synthetic" else [],
    output:
        f"{R}/raw/{{source}}/manifest.json",
    log:
        f"{R}/logs/raw/{{source}}.log",
    wildcard_constraints:
        source=one_of(CONFIG.sources),
    container:
        image("data")
    threads: cpus("sources.normalize")
    resources:
        **resources("sources.normalize"),
    params:
        recipe=recipe(
            "scripts.sources.normalize", "data", lambda w: {"name": w.source, "source": CONFIG.sources[w.source]}
        ),
        corpora=Path(CONFIG.corpora_dir or "."),  # a Path is no tracked param: where files lie is not identity
    shell:
        "NEBULA_CORPORA={params.corpora:q} python -m scripts.sources.normalize --recipe {params.recipe:q}"
        " --synthetic {input.synthetic} --out {output} > {log} 2>&1"
