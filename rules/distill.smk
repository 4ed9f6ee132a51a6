"""distill: teachers' responses, their cross-verification, and difficulty grades.

makes   results/<scale>/responses/{set}/samples/{teacher}/, responses/{set}/scores/ (where the set has a judge),
        responses/{set}/verdicts/, attempts/{set}/, graded/{set}/
needs   the pool's last step, the teachers', judges' and students' checkpoints
"""


rule sample_responses:
    input:
        pool=lambda w: pool(CONFIG.responses[w.set].pool),
        teacher=lambda w: model(w.teacher),
    output:
        f"{R}/responses/{{set}}/samples/{{teacher}}/manifest.json",
    log:
        f"{R}/logs/responses/{{set}}/{{teacher}}.log",
    wildcard_constraints:
        set=one_of(CONFIG.responses),
        teacher=one_of(CONFIG.models),
    container:
        image("serve")
    threads: cpus("distill.sample")
    resources:
        **resources("distill.sample"),
    params:
        recipe=recipe(
            "scripts.distill.sample",
            "serve",
            lambda w: {"responses": CONFIG.responses[w.set].draw, "engine": CONFIG.engine},
        ),
    shell:
        "python -m scripts.distill.sample --recipe {params.recipe:q} --pool {input.pool}"
        " --teacher {input.teacher} --out {output} > {log} 2>&1"


rule judge_responses:
    input:
        pool=lambda w: pool(CONFIG.responses[w.set].pool),
        samples=lambda w: samples(w.set),
        judge=lambda w: model(CONFIG.responses[w.set].judge.model),
    output:
        f"{R}/responses/{{set}}/scores/manifest.json",
    log:
        f"{R}/logs/responses/{{set}}/scores.log",
    wildcard_constraints:
        set=one_of(name for name, found in CONFIG.responses.items() if found.judge),
    container:
        image("serve")
    threads: cpus("distill.judge")
    resources:
        **resources("distill.judge"),
    params:
        recipe=recipe(
            "scripts.distill.judge",
            "serve",
            lambda w: {
                "judge": CONFIG.responses[w.set].judge,
                "teachers": CONFIG.responses[w.set].teachers,
                "keep_original": CONFIG.responses[w.set].keep_original,
                "prompts": CONFIG.responses[w.set].prompts,
                "engine": CONFIG.engine,
            },
        ),
    shell:
        "python -m scripts.distill.judge --recipe {params.recipe:q} --pool {input.pool}"
        " --samples {input.samples} --judge {input.judge} --out {output} > {log} 2>&1"


rule cross_verify_responses:
    input:
        pool=lambda w: pool(CONFIG.responses[w.set].pool),
        samples=lambda w: samples(w.set),
        scores=lambda w: [f"{R}/responses/{w.set}/scores/manifest.json"] if CONFIG.responses[w.set].judge else [],
    output:
        f"{R}/responses/{{set}}/verdicts/manifest.json",
    log:
        f"{R}/logs/responses/{{set}}/verdicts.log",
    wildcard_constraints:
        set=one_of(CONFIG.responses),
    container:
        image("data")
    threads: cpus("distill.cross_verify")
    resources:
        **resources("distill.cross_verify"),
    params:
        recipe=recipe(
            "scripts.distill.cross_verify",
            "data",
            lambda w: {"responses": CONFIG.responses[w.set], "verify": CONFIG.verify},
        ),
    shell:
        "NEBULA_WORKERS={threads} python -m scripts.distill.cross_verify --recipe {params.recipe:q} --pool {input.pool}"
        " --samples {input.samples} --scores {input.scores} --out {output} > {log} 2>&1"


rule sample_attempts:
    input:
        pool=lambda w: pool(CONFIG.graded[w.set].pool),
        student=lambda w: model(CONFIG.graded[w.set].student),
    output:
        f"{R}/attempts/{{set}}/manifest.json",
    log:
        f"{R}/logs/attempts/{{set}}.log",
    wildcard_constraints:
        set=one_of(CONFIG.graded),
    container:
        image("serve")
    threads: cpus("distill.sample")
    resources:
        **resources("distill.sample"),
    params:
        recipe=recipe(
            "scripts.distill.sample",
            "serve",
            lambda w: {"responses": CONFIG.graded[w.set].draw, "engine": CONFIG.engine, "only_verifiable": True},
        ),
    shell:
        "python -m scripts.distill.sample --recipe {params.recipe:q} --pool {input.pool}"
        " --teacher {input.student} --out {output} > {log} 2>&1"


rule grade_prompts:
    input:
        attempts=f"{R}/attempts/{{set}}/manifest.json",
    output:
        f"{R}/graded/{{set}}/manifest.json",
    log:
        f"{R}/logs/graded/{{set}}.log",
    wildcard_constraints:
        set=one_of(CONFIG.graded),
    container:
        image("data")
    threads: cpus("distill.grade")
    resources:
        **resources("distill.grade"),
    params:
        recipe=recipe(
            "scripts.distill.grade",
            "data",
            lambda w: {
                "bands": CONFIG.graded[w.set].bands,
                "samples": CONFIG.graded[w.set].samples,
                "verify": CONFIG.verify,
            },
        ),
    shell:
        "NEBULA_WORKERS={threads} python -m scripts.distill.grade --recipe {params.recipe:q} --attempts {input.attempts}"
        " --out {output} > {log} 2>&1"
