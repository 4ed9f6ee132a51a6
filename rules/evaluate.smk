"""evaluate: raw generations, and the scores made from them.

makes   results/<scale>/generations/{model}/{benchmark}.parquet, scores/{model}/{benchmark}.json
needs   models/{model}/, raw/{source}/ of the benchmarks

A job handles all benchmarks of a group (`evaluate_together`), so there is one pair of rules per group.
"""

for rule_name in [name for name, kind in ARTIFACTS.kinds.items() if kind.step == "evaluate.generate"]:

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
            recipe=recipe(rule_name),
        shell:
            "python -m scripts.evaluate.generate --recipe {params.recipe:q} --model {input.model}"
            " --benchmarks {input.benchmarks} --out {output} > {log} 2>&1"


for rule_name in [name for name, kind in ARTIFACTS.kinds.items() if kind.step == "evaluate.score"]:

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
            recipe=recipe(rule_name),
        shell:
            "NEBULA_WORKERS={threads} python -m scripts.evaluate.score --recipe {params.recipe:q}"
            " --generations {input.generations} --out {output} > {log} 2>&1"
