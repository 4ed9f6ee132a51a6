"""tables: cells, tables, figures and the report, from artifacts alone.

makes   results/<scale>/cells/{table}/{row}/{column}.json, tables/{table}.*, figures/, report.html
needs   scores/{model}/{benchmark}.json, pools' and data sets' manifests, training logs
"""


def row_of(wildcards):
    """The row that a cell names; unknown tables, rows and columns are errors with the close matches."""
    table = CONFIG.tables[checked("table", wildcards.table, CONFIG.tables)]
    rows = {row.name: row for row in table.rows}
    checked(f"column of {wildcards.table}", wildcards.column, table.columns)
    return rows[checked(f"row of {wildcards.table}", wildcards.row, rows)]


def cell_columns(wildcards):
    """The benchmarks that a cell is made from: its own, or all of its row's for the average."""
    row_of(wildcards)
    columns = CONFIG.tables[wildcards.table].columns
    return list(columns[:-1]) if wildcards.column == columns[-1] else [wildcards.column]


def cell_scores(wildcards):
    """Score files that a cell reads."""
    return [f"{R}/scores/{row_of(wildcards).model}/{column}.json" for column in cell_columns(wildcards)]


def cell_settings(wildcards):
    """What a cell says of itself."""
    row = row_of(wildcards)
    return {
        "table": wildcards.table,
        "row": row.name,
        "column": wildcards.column,
        "model": row.model,
        "reported": row.reported.get(wildcards.column),
        "scale": CONFIG.scale,
    }


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
    params:
        recipe=recipe("scripts.tables.cell", "data", cell_settings),
    shell:
        "python -m scripts.tables.cell --recipe {params.recipe:q} --scores {input.scores} --out {output}"
        " > {log} 2>&1"


rule make_table:
    input:
        cells=lambda w: table_cells(w.table),
    output:
        [f"{R}/tables/{{table}}.{kind}" for kind in ("json", "md", "csv", "tex")],
    log:
        f"{R}/logs/tables/{{table}}.log",
    wildcard_constraints:
        table=one_of(CONFIG.tables),
    params:
        recipe=recipe(
            "scripts.tables.table", "data", lambda w: {"name": w.table, "table": CONFIG.tables[w.table]}
        ),
    shell:
        "python -m scripts.tables.table --recipe {params.recipe:q} --cells {input.cells} --out {output} > {log} 2>&1"


for table_name in CONFIG.tables:

    rule:
        name:
            table_name
        input:
            [f"{R}/tables/{table_name}.json"],
