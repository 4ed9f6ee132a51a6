"""curate: a chain of filters over each pool.

makes   results/<scale>/classifiers/domain/, pools/{pool}/{step}/, audit.md
needs   raw/{source}/ of the pool's sources, and of the benchmarks (decontaminate)
"""

# Step to the option for its inputs besides the records.
EXTRA_OPTION = {"classify": "--classifier", "decontaminate": "--benchmarks"}


rule train_classifier:
    input:
        inputs("train_classifier"),
    output:
        outputs("train_classifier"),
    log:
        log_of("train_classifier"),
    container:
        image("train_classifier")
    threads: cpus("train_classifier")
    resources:
        **resources("train_classifier"),
    params:
        recipe=recipe("train_classifier"),
    shell:
        "python -m scripts.curate.train_classifier --recipe {params.recipe:q} --sources {input.sources}"
        " --out {output} > {log} 2>&1"


for step in STEPS:
    rule_name = f"curate_{module_of(step)}"

    rule:
        name:
            rule_name
        input:
            inputs(rule_name),
        output:
            outputs(rule_name),
        log:
            log_of(rule_name),
        wildcard_constraints:
            **names_of(rule_name),
        container:
            image(rule_name)
        threads: cpus(rule_name)
        resources:
            **resources(rule_name),
        params:
            module=f"scripts.{ARTIFACTS.kinds[rule_name].step}",
            extra=EXTRA_OPTION.get(step, ""),
            recipe=recipe(rule_name),
        shell:
            "NEBULA_WORKERS={threads} python -m {params.module} --recipe {params.recipe:q} --records {input.records}"
            " {params.extra} {input.extra} --out {output} > {log} 2>&1"


if PATHS.audit():

    rule audit_decontamination:
        input:
            inputs("audit_decontamination"),
        output:
            outputs("audit_decontamination"),
        log:
            log_of("audit_decontamination"),
        container:
            image("audit_decontamination")
        threads: cpus("audit_decontamination")
        resources:
            **resources("audit_decontamination"),
        params:
            recipe=recipe("audit_decontamination"),
        shell:
            "python -m scripts.curate.audit --recipe {params.recipe:q} --pools {input.pools}"
            " --benchmarks {input.benchmarks} --out {output} > {log} 2>&1"
