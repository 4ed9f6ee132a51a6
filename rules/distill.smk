"""distill: teachers' responses, their cross-verification, and difficulty grades.

makes   results/<scale>/responses/{set}/samples/{teacher}/, responses/{set}/scores/ (if the set has a judge),
        responses/{set}/verdicts/, attempts/{set}/, graded/{set}/
needs   the pool's last step, the teachers', judges' and students' checkpoints
"""


rule sample_responses:
    input:
        inputs("sample_responses"),
    output:
        outputs("sample_responses"),
    log:
        log_of("sample_responses"),
    wildcard_constraints:
        **names_of("sample_responses"),
    container:
        image("sample_responses")
    threads: cpus("sample_responses")
    resources:
        **resources("sample_responses"),
    params:
        recipe=recipe("sample_responses"),
    shell:
        "python -m scripts.distill.sample --recipe {params.recipe:q} --pool {input.pool}"
        " --teacher {input.teacher} --out {output} > {log} 2>&1"


rule judge_responses:
    input:
        inputs("judge_responses"),
    output:
        outputs("judge_responses"),
    log:
        log_of("judge_responses"),
    wildcard_constraints:
        **names_of("judge_responses"),
    container:
        image("judge_responses")
    threads: cpus("judge_responses")
    resources:
        **resources("judge_responses"),
    params:
        recipe=recipe("judge_responses"),
    shell:
        "python -m scripts.distill.judge --recipe {params.recipe:q} --pool {input.pool}"
        " --samples {input.samples} --judge {input.judge} --out {output} > {log} 2>&1"


rule cross_verify_responses:
    input:
        inputs("cross_verify_responses"),
    output:
        outputs("cross_verify_responses"),
    log:
        log_of("cross_verify_responses"),
    wildcard_constraints:
        **names_of("cross_verify_responses"),
    container:
        image("cross_verify_responses")
    threads: cpus("cross_verify_responses")
    resources:
        **resources("cross_verify_responses"),
    params:
        recipe=recipe("cross_verify_responses"),
    shell:
        "NEBULA_WORKERS={threads} python -m scripts.distill.cross_verify --recipe {params.recipe:q} --pool {input.pool}"
        " --samples {input.samples} --scores {input.scores} --out {output} > {log} 2>&1"


rule sample_attempts:
    input:
        inputs("sample_attempts"),
    output:
        outputs("sample_attempts"),
    log:
        log_of("sample_attempts"),
    wildcard_constraints:
        **names_of("sample_attempts"),
    container:
        image("sample_attempts")
    threads: cpus("sample_attempts")
    resources:
        **resources("sample_attempts"),
    params:
        recipe=recipe("sample_attempts"),
    shell:
        "python -m scripts.distill.sample --recipe {params.recipe:q} --pool {input.pool}"
        " --teacher {input.student} --out {output} > {log} 2>&1"


rule grade_prompts:
    input:
        inputs("grade_prompts"),
    output:
        outputs("grade_prompts"),
    log:
        log_of("grade_prompts"),
    wildcard_constraints:
        **names_of("grade_prompts"),
    container:
        image("grade_prompts")
    threads: cpus("grade_prompts")
    resources:
        **resources("grade_prompts"),
    params:
        recipe=recipe("grade_prompts"),
    shell:
        "NEBULA_WORKERS={threads} python -m scripts.distill.grade --recipe {params.recipe:q} --attempts {input.attempts}"
        " --out {output} > {log} 2>&1"
