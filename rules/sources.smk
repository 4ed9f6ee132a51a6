"""sources: raw corpora to records.

makes   results/<scale>/synthetic/, downloads/{source}/, raw/{source}/
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


# Where Snakemake runs there is a network, on the nodes of a cluster often none.
localrules:
    fetch_hub_dataset,


rule fetch_hub_dataset:
    output:
        f"{R}/downloads/{{source}}/manifest.json",
    log:
        f"{R}/logs/downloads/{{source}}.log",
    wildcard_constraints:
        source=one_of(name for name, source in CONFIG.sources.items() if source.kind == "hub"),
    container:
        image("data")
    threads: cpus("sources.download")
    resources:
        **unsubmitted(),
    params:
        recipe=recipe(
            "scripts.sources.download",
            "data",
            lambda w: {
                "name": w.source,
                "dataset": CONFIG.sources[w.source].dataset,
                "revision": CONFIG.sources[w.source].revision,
                "files": CONFIG.sources[w.source].files,
            },
        ),
        offline=OFFLINE,
    shell:
        "HF_HUB_OFFLINE={params.offline} python -m scripts.sources.download --recipe {params.recipe:q}"
        " --out {output} > {log} 2>&1"


rule normalize_source:
    input:
        files=source_files,
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
        " --files {input.files} --out {output} > {log} 2>&1"
