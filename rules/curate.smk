"""curate: a chain of filters over each pool.

makes   results/<scale>/classifiers/domain/, pools/{pool}/{step}/, audit.md, funnel.{json,md}
needs   raw/{source}/ of the pool's sources, and of the benchmarks (decontaminate)
"""

BENCHMARK_SOURCES = list(dict.fromkeys(benchmark.source for benchmark in CONFIG.benchmarks.values()))
POOL_SOURCES = list(dict.fromkeys(source for pool in CONFIG.pools.values() for source in pool.sources))

DECONTAMINATED = [name for name, pool in CONFIG.pools.items() if "decontaminate" in [step.step for step in pool.steps]]
AUDIT = [f"{R}/audit.md"] if DECONTAMINATED else []

# What a step reads besides the records, by the option's name.
CURATE_EXTRAS = {
    "classify": ("--classifier", [f"{R}/classifiers/domain/manifest.json"]),
    "decontaminate": ("--benchmarks", raw(BENCHMARK_SOURCES)),
}


rule train_classifier:
    input:
        sources=raw(POOL_SOURCES),
    output:
        f"{R}/classifiers/domain/manifest.json",
    log:
        f"{R}/logs/classifiers/domain.log",
    container:
        image("data")
    threads: cpus("curate.train_classifier")
    resources:
        **resources("curate.train_classifier"),
    params:
        recipe=recipe("scripts.curate.train_classifier", "data", lambda w: CONFIG.classifiers.domain),
    shell:
        "python -m scripts.curate.train_classifier --recipe {params.recipe:q} --sources {input.sources}"
        " --out {output} > {log} 2>&1"


for step in STEPS:

    rule:
        name:
            f"curate_{module_of(step)}"
        input:
            records=lambda w, step=step: before(w.pool, step),
            extra=CURATE_EXTRAS.get(step, ("", []))[1],
        output:
            f"{R}/pools/{{pool}}/{step}/manifest.json",
        log:
            f"{R}/logs/pools/{{pool}}/{step}.log",
        wildcard_constraints:
            pool=one_of(name for name, pool in CONFIG.pools.items() if step in [item.step for item in pool.steps]),
        container:
            image("data")
        threads: cpus(f"curate.{module_of(step)}")
        resources:
            **resources(f"curate.{module_of(step)}"),
        params:
            module=f"scripts.curate.{module_of(step)}",
            extra=CURATE_EXTRAS.get(step, ("", []))[0],
            recipe=recipe(f"scripts.curate.{module_of(step)}", "data", lambda w, step=step: pool_step(w.pool, step)),
        shell:
            "NEBULA_WORKERS={threads} python -m {params.module} --recipe {params.recipe:q} --records {input.records}"
            " {params.extra} {input.extra} --out {output} > {log} 2>&1"


rule audit_decontamination:
    input:
        pools=[f"{R}/pools/{name}/decontaminate/manifest.json" for name in DECONTAMINATED],
        benchmarks=raw(BENCHMARK_SOURCES),
    output:
        f"{R}/audit.md",
    log:
        f"{R}/logs/audit.log",
    container:
        image("data")
    threads: cpus("curate.audit")
    resources:
        **resources("curate.audit"),
    params:
        recipe=recipe("scripts.curate.audit", "data", lambda w: {}),
    shell:
        "python -m scripts.curate.audit --recipe {params.recipe:q} --pools {input.pools}"
        " --benchmarks {input.benchmarks} --out {output} > {log} 2>&1"


rule tabulate_funnel:
    input:
        pools=[
            f"{R}/pools/{name}/{step.step}/manifest.json" for name, pool in CONFIG.pools.items() for step in pool.steps
        ],
    output:
        json=f"{R}/funnel.json",
        md=report(f"{R}/funnel.md", caption="captions/funnel.rst", category="Data", labels={"page": "funnel"}),
    log:
        f"{R}/logs/funnel.log",
    container:
        image("data")
    threads: cpus("tables.funnel")
    resources:
        **resources("tables.funnel"),
    params:
        recipe=recipe(
            "scripts.tables.funnel",
            "data",
            lambda w: {"pools": {name: [step.step for step in pool.steps] for name, pool in CONFIG.pools.items()}},
        ),
    shell:
        "python -m scripts.tables.funnel --recipe {params.recipe:q} --pools {input.pools}"
        " --out {output} > {log} 2>&1"
