"""tables: cells, tables, the funnel, figures and the report, from artifacts alone.

makes   results/<scale>/cells/{table}/{row}/{column}.json, tables/{table}.*, funnel.{json,md}, figures/, report.html
needs   scores/{model}/{benchmark}.json, pools' and data sets' manifests, training logs
"""


report: "captions/workflow.rst"


localrules:
    make_cell,
    make_table,


rule make_cell:
    input:
        inputs("make_cell"),
    output:
        outputs("make_cell"),
    log:
        log_of("make_cell"),
    container:
        image("make_cell")
    threads: cpus("make_cell")
    resources:
        **unsubmitted(),
    params:
        recipe=recipe("make_cell"),
    shell:
        "python -m scripts.tables.cell --recipe {params.recipe:q} --scores {input.scores} --out {output}"
        " > {log} 2>&1"


TABLE_JSON, TABLE_MD, TABLE_CSV, TABLE_TEX = outputs("make_table")


rule make_table:
    input:
        inputs("make_table"),
    output:
        TABLE_JSON,
        TABLE_MD,
        report(TABLE_CSV, caption="captions/table.rst", category="Tables", labels={"table": "{table}"}),
        TABLE_TEX,
    log:
        log_of("make_table"),
    container:
        image("make_table")
    threads: cpus("make_table")
    resources:
        **unsubmitted(),
    params:
        recipe=recipe("make_table"),
    shell:
        "python -m scripts.tables.table --recipe {params.recipe:q} --cells {input.cells} --scores {input.scores}"
        " --out {output} > {log} 2>&1"


FUNNEL_JSON, FUNNEL_MD = outputs("tabulate_funnel")


rule tabulate_funnel:
    input:
        inputs("tabulate_funnel"),
    output:
        FUNNEL_JSON,
        report(FUNNEL_MD, caption="captions/funnel.rst", category="Data", labels={"page": "funnel"}),
    log:
        log_of("tabulate_funnel"),
    container:
        image("tabulate_funnel")
    threads: cpus("tabulate_funnel")
    resources:
        **resources("tabulate_funnel"),
    params:
        recipe=recipe("tabulate_funnel"),
    shell:
        "python -m scripts.tables.funnel --recipe {params.recipe:q} --pools {input.pools}"
        " --out {output} > {log} 2>&1"


rule draw_figures:
    input:
        inputs("draw_figures"),
    output:
        outputs("draw_figures"),
    log:
        log_of("draw_figures"),
    container:
        image("draw_figures")
    threads: cpus("draw_figures")
    resources:
        **resources("draw_figures"),
    params:
        recipe=recipe("draw_figures"),
    shell:
        "python -m scripts.tables.figures --recipe {params.recipe:q} --models {input.models}"
        " --datasets {input.datasets} --graded {input.graded} --funnel {input.funnel} --out {output} > {log} 2>&1"


rule write_report:
    input:
        inputs("write_report"),
    output:
        report(
            outputs("write_report")[0],
            caption="captions/page.rst",
            category="Results",
            labels={"page": "all results"},
        ),
    log:
        log_of("write_report"),
    container:
        image("write_report")
    threads: cpus("write_report")
    resources:
        **resources("write_report"),
    params:
        recipe=recipe("write_report"),
    shell:
        "python -m scripts.tables.report --recipe {params.recipe:q} --tables {input.tables} --cells {input.cells}"
        " --scores {input.scores} --generations {input.generations} --figures {input.figures}"
        " --funnel {input.funnel} --pools {input.pools} --out {output} > {log} 2>&1"


for table_name in CONFIG.tables:

    rule:
        name:
            table_name
        input:
            PATHS.table(table_name),
