"""tables: cells, tables, figures and the report, from artifacts alone.

makes   results/<scale>/cells/{table}/{row}/{column}.json, tables/{table}.*, figures/, report.html
needs   scores/{model}/{benchmark}.json, pools' and data sets' manifests, training logs
"""


report: "captions/workflow.rst"


localrules:
    make_cell,
    make_table,


rule make_cell:
    input:
        scores=cell_scores,
    output:
        f"{R}/cells/{{table}}/{{row}}/{{column}}.json",
    log:
        f"{R}/logs/cells/{{table}}/{{row}}/{{column}}.log",
    container:
        image("data")
    threads: cpus("tables.cell")
    resources:
        **unsubmitted(),
    params:
        recipe=recipe("scripts.tables.cell", "data", cell_settings),
    shell:
        "python -m scripts.tables.cell --recipe {params.recipe:q} --scores {input.scores} --out {output}"
        " > {log} 2>&1"


rule make_table:
    input:
        cells=lambda w: table_cells(w.table),
        scores=lambda w: table_scores(w.table),
    output:
        [f"{R}/tables/{{table}}.{kind}" for kind in ("json", "md")],
        report(
            f"{R}/tables/{{table}}.csv",
            caption="captions/table.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
        f"{R}/tables/{{table}}.tex",
    log:
        f"{R}/logs/tables/{{table}}.log",
    container:
        image("data")
    threads: cpus("tables.table")
    resources:
        **unsubmitted(),
    params:
        recipe=recipe(
            "scripts.tables.table",
            "data",
            lambda w: {
                "name": w.table,
                "table": CONFIG.tables[w.table],
                "titles": {name: CONFIG.benchmarks[name].title for name in CONFIG.tables[w.table].columns[:-1]},
                "training_noise": CONFIG.report.training_noise,
            },
        ),
    shell:
        "python -m scripts.tables.table --recipe {params.recipe:q} --cells {input.cells} --scores {input.scores}"
        " --out {output} > {log} 2>&1"


ANSWERS = list(dict.fromkeys(answer for name in CONFIG.tables for answer in table_answers(name)))


rule draw_figures:
    input:
        models=[model(name) for name in CONFIG.models if CONFIG.models[name].kind != "hub"],
        datasets=[dataset(name) for name in CONFIG.datasets],
        graded=[graded(name) for name in CONFIG.graded],
        funnel=f"{R}/funnel.json",
    output:
        f"{R}/figures/manifest.json",
    log:
        f"{R}/logs/figures.log",
    container:
        image("data")
    threads: cpus("tables.figures")
    resources:
        **resources("tables.figures"),
    params:
        recipe=recipe(
            "scripts.tables.figures",
            "data",
            lambda w: {
                "tables": CONFIG.tables,
                "kinds": {name: found.kind for name, found in CONFIG.models.items()},
            },
        ),
    shell:
        "python -m scripts.tables.figures --recipe {params.recipe:q} --models {input.models}"
        " --datasets {input.datasets} --graded {input.graded} --funnel {input.funnel} --out {output} > {log} 2>&1"


rule write_report:
    input:
        tables=[f"{R}/tables/{name}.json" for name in CONFIG.tables],
        cells=[cell for name in CONFIG.tables for cell in table_cells(name)],
        scores=[f"{R}/scores/{model}/{benchmark}.json" for model, benchmark in ANSWERS],
        generations=[f"{R}/generations/{model}/{benchmark}.parquet" for model, benchmark in ANSWERS],
        figures=f"{R}/figures/manifest.json",
        funnel=f"{R}/funnel.json",
        pools=[
            f"{R}/pools/{name}/decontaminate/manifest.json"
            for name, found in CONFIG.pools.items()
            if "decontaminate" in [step.step for step in found.steps]
        ],
    output:
        report(f"{R}/report.html", caption="captions/page.rst", category="Results", labels={"page": "all results"}),
    log:
        f"{R}/logs/report.log",
    container:
        image("data")
    threads: cpus("tables.report")
    resources:
        **resources("tables.report"),
    params:
        recipe=recipe("scripts.tables.report", "data", lambda w: {"scale": CONFIG.scale}),
    shell:
        "python -m scripts.tables.report --recipe {params.recipe:q} --tables {input.tables} --cells {input.cells}"
        " --scores {input.scores} --generations {input.generations} --figures {input.figures}"
        " --funnel {input.funnel} --pools {input.pools} --out {output} > {log} 2>&1"


for table_name in CONFIG.tables:

    rule:
        name:
            table_name
        input:
            [f"{R}/tables/{table_name}.json"],
