"""evaluate: raw generations, and the scores made from them.

makes   results/<scale>/generations/{model}/{benchmark}.parquet, scores/{model}/{benchmark}.json
needs   models/{model}/, raw/{source}/ of the benchmarks

One job serves the benchmarks of a group (`evaluate_together`), so there is a pair of rules a group.
"""

for group in CONFIG.evaluation_groups():

    rule:
        name:
            f"generate_{group_name(group)}"
        input:
            model=lambda w: model(w.model),
            benchmarks=raw([CONFIG.benchmarks[name].source for name in group]),
        output:
            [f"{R}/generations/{{model}}/{name}.parquet" for name in group],
        log:
            f"{R}/logs/generations/{{model}}/{group[0]}.log",
        wildcard_constraints:
            model=one_of(CONFIG.models),
        container:
            image("serve")
        threads: cpus("evaluate.generate")
        resources:
            **resources("evaluate.generate"),
        params:
            recipe=recipe(
                "scripts.evaluate.generate",
                "serve",
                lambda w, group=group: {
                    "benchmarks": {
                        name: CONFIG.benchmarks[name].questions(CONFIG.models[w.model].thinking) for name in group
                    },
                    "engine": CONFIG.engine,
                    "thinking": CONFIG.models[w.model].thinking,
                },
            ),
        shell:
            "python -m scripts.evaluate.generate --recipe {params.recipe:q} --model {input.model}"
            " --benchmarks {input.benchmarks} --out {output} > {log} 2>&1"

    rule:
        name:
            f"score_{group_name(group)}"
        input:
            [f"{R}/generations/{{model}}/{name}.parquet" for name in group],
        output:
            [f"{R}/scores/{{model}}/{name}.json" for name in group],
        log:
            f"{R}/logs/scores/{{model}}/{group[0]}.log",
        wildcard_constraints:
            model=one_of(CONFIG.models),
        container:
            image("data")
        threads: cpus("evaluate.score")
        resources:
            **resources("evaluate.score"),
        params:
            recipe=recipe(
                "scripts.evaluate.score",
                "data",
                lambda w, group=group: {
                    "model": w.model,
                    "benchmarks": {name: CONFIG.benchmarks[name].metric for name in group},
                    "verify": CONFIG.verify,
                },
            ),
        shell:
            "NEBULA_WORKERS={threads} python -m scripts.evaluate.score --recipe {params.recipe:q} --generations {input}"
            " --out {output} > {log} 2>&1"
