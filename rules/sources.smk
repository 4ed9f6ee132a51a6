"""sources: raw corpora to records.

makes   results/<scale>/synthetic/, downloads/{source}/, raw/{source}/
needs   what `sources:` names: the embedded generator, files below `corpora_dir`, pinned hub data sets
"""


rule synthesize_corpora:
    output:
        outputs("synthesize_corpora"),
    log:
        log_of("synthesize_corpora"),
    container:
        image("synthesize_corpora")
    threads: cpus("synthesize_corpora")
    resources:
        **resources("synthesize_corpora"),
    params:
        recipe=recipe("synthesize_corpora"),
    shell:
        "python -m scripts.sources.synthesize --recipe {params.recipe:q} --out {output} > {log} 2>&1"


# The machine that runs Snakemake has a network; the nodes of a cluster often have none.
localrules:
    fetch_hub_dataset,


rule fetch_hub_dataset:
    output:
        outputs("fetch_hub_dataset"),
    log:
        log_of("fetch_hub_dataset"),
    wildcard_constraints:
        **names_of("fetch_hub_dataset"),
    container:
        image("fetch_hub_dataset")
    threads: cpus("fetch_hub_dataset")
    resources:
        **unsubmitted(),
    params:
        recipe=recipe("fetch_hub_dataset"),
        offline=OFFLINE,
    shell:
        "HF_HUB_OFFLINE={params.offline} python -m scripts.sources.download --recipe {params.recipe:q}"
        " --out {output} > {log} 2>&1"


rule normalize_source:
    input:
        inputs("normalize_source"),
    output:
        outputs("normalize_source"),
    log:
        log_of("normalize_source"),
    wildcard_constraints:
        **names_of("normalize_source"),
    container:
        image("normalize_source")
    threads: cpus("normalize_source")
    resources:
        **resources("normalize_source"),
    params:
        recipe=recipe("normalize_source"),
        corpora=Path(CONFIG.corpora_dir or "."),  # Snakemake does not compare a Path: where files are is not identity
    shell:
        "NEBULA_CORPORA={params.corpora:q} python -m scripts.sources.normalize --recipe {params.recipe:q}"
        " --files {input.files} --out {output} > {log} 2>&1"
