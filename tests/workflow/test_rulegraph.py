"""The picture of the rules: stages by the files of rules, implied edges left out, the same bytes twice."""

from __future__ import annotations

import io

import matplotlib

from scripts.workflow.rulegraph import COLOURS, SHOWN, TARGET, coloured, draw, placed, read_dot, split, stage_of, stages

DOT = """digraph snakemake_dag {
    graph[bgcolor=white, margin=0];
\t0[label = "all", color = "0.00 0.6 0.85", style="rounded"];
\t1[label = "normalize_source", color = "0.1 0.6 0.85", style="rounded"];
\t2[label = "curate_format", color = "0.2 0.6 0.85", style="rounded"];
\t3[label = "curate_length", color = "0.3 0.6 0.85", style="rounded"];
\t4[label = "sample_responses\\nset: instruct", color = "0.4 0.6 0.85", style="rounded"];
\t5[label = "finetune_model", color = "0.5 0.6 0.85", style="rounded"];
\t1 -> 2
\t2 -> 3
\t3 -> 4
\t2 -> 4
\t4 -> 5
\t5 -> 5
\t5 -> 4
\t5 -> 0
}
"""


def test_every_rule_belongs_to_the_stage_whose_file_makes_it() -> None:
    known = stages()
    assert stage_of("normalize_source", known) == "sources" and stage_of("curate_near_dedup", known) == "curate"
    assert stage_of("train_classifier", known) == "curate" and stage_of("generate_benchmarks_2", known) == "evaluate"
    assert stage_of("score_aime-2024", known) == "evaluate" and stage_of("make_cell", known) == "tables"
    assert stage_of("all", known) is None


def test_columns_are_stages_and_rows_the_order_in_them() -> None:
    places = placed(read_dot(DOT))
    assert places == {
        "normalize_source": (0, 0),
        "curate_format": (1, 0),
        "curate_length": (1, 1),
        "sample_responses": (2, 0),
        "finetune_model": (4, 0),
    }


def test_implied_edges_are_left_out_and_those_that_go_back_stand_apart() -> None:
    graph = read_dot(DOT)
    onward, back = split(graph, placed(graph))
    assert onward == [
        ("curate_format", "curate_length"),
        ("curate_length", "sample_responses"),
        ("normalize_source", "curate_format"),
        ("sample_responses", "finetune_model"),
    ]
    assert back == [("finetune_model", "sample_responses")]


def test_snakemakes_graph_gets_the_stages_colours() -> None:
    lines = coloured(DOT).splitlines()
    assert f'color = "{TARGET}"' in lines[2] and f'color = "{COLOURS["curate"]}"' in lines[4]
    assert f'"sample_responses\\nset: instruct", color = "{COLOURS["distill"]}"' in lines[6]
    assert lines[8:] == DOT.splitlines()[8:]


def files_node(rule: str, files: int) -> str:
    """A node of `--filegraph`: its inputs, then its output, whose row ends otherwise."""
    row = '<tr>\n<td align="left"><font face="monospace">{}</font></td>{}</tr>\n'
    return (
        '0 [ shape=none, margin=0, label=<<table border="2" color="#D95757" cellspacing="3" cellborder="0">\n'
        f'<tr><td>\n<b><font point-size="18">{rule}</font></b>\n</td></tr>\n<hr/>\n'
        + "".join(row.format(f"in-{number}", "\n") for number in range(files))
        + f"<hr/>\n{row.format('out', '')}</table>>]\n"
    )


def test_a_graph_of_files_gets_the_stages_colours_and_long_lists_are_cut() -> None:
    short = files_node("make_cell", SHOWN)
    assert coloured(short) == short.replace("#D95757", COLOURS["tables"])
    long = coloured(files_node("all", SHOWN + 1200))
    assert f'color="{TARGET}"' in long
    assert f">in-{SHOWN - 1}<" in long and f">in-{SHOWN}<" not in long
    assert ">and 1,200 more<" in long and ">out<" in long


def test_the_picture_has_every_rule_and_the_same_bytes_twice() -> None:
    def picture() -> bytes:
        file = io.BytesIO()
        with matplotlib.rc_context({"svg.hashsalt": "rulegraph", "svg.fonttype": "none"}):
            draw(read_dot(DOT)).savefig(file, format="svg", metadata={"Date": None})
        return file.getvalue()

    assert picture() == picture()
    assert all(f">{rule}<".encode() in picture() for rule in read_dot(DOT))
