"""The report: what it shows, that it is self-contained, and that it works in a real browser."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts.common.artifacts import ArtifactError, open_artifact, read_json, write_json
from scripts.tables import report
from scripts.tables.charts import THEME
from scripts.tables.page.html import duration, embed, forest, human_bytes, inline
from scripts.tables.page.view import Cost, by_stage, hits
from scripts.tables.results import read_result
from scripts.tables.settings import ReportSettings
from tests.tables.tiny_results import SOLVED, TABLES, R, execute, report_inputs

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")


@pytest.fixture(scope="module")
def page(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report's file, in a complete results folder."""
    root, before = tmp_path_factory.mktemp("report") / "project", Path.cwd()
    shutil.copytree(built, root)
    os.chdir(root)
    try:
        execute(report, {"scale": "tiny"}, [R / "report.html"], **report_inputs())
    finally:
        os.chdir(before)
    return root / R / "report.html"


def data_of(page: Path) -> dict[str, Any]:
    """The data that the page carries."""
    match = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', page.read_text(), re.DOTALL)
    assert match is not None
    return json.loads(match[1])


def test_headline_table_comes_first(page: Path) -> None:
    text = page.read_text()
    assert text.index('id="table-instruct"') < text.index('id="ablations"') < text.index('id="table-stages"')


def test_every_number_of_every_table(page: Path) -> None:
    text = page.read_text()
    for name in TABLES:
        result = read_result(page.parent / f"tables/{name}.json")
        for row in result.rows:
            for column, entry in row.cells.items():
                shown = re.search(rf'href="#cell/{name}/{row.name}/{column}".*?</td>', text, re.DOTALL)
                assert shown is not None
                assert f">{entry.value:.2f}<" in shown[0] and f"± {entry.stderr:.2f}" in shown[0]
                assert (f"paper {entry.reported:.2f}" in shown[0]) if entry.reported else ("paper" not in shown[0])


def test_claims_with_verdicts(page: Path) -> None:
    text = html.unescape(page.read_text())
    assert re.search(
        r'class="verdict within-noise">within noise</span> <span class="text">GRPO is above SFT in arith', text
    )
    assert "paired z = 3.01, p = 0.003; paper +0.86" in text


def test_samples_carry_their_own_verdicts(page: Path) -> None:
    """Six of twenty prompts, evenly spread (0, 3, 6, 10, 13, 16), two samples each; the base solves the first 4."""
    made = data_of(page)["samples"]["base/ifeval"]
    assert [(int(row["id"], 16), row["sample"]) for row in made["rows"]] == [
        (index, sample) for index in (0, 3, 6, 10, 13, 16) for sample in (0, 1)
    ]
    assert [row["correct"] for row in made["rows"]] == [True] * 4 + [False] * 8
    assert made["of"] == 40
    assert "base says yes" in made["rows"][0]["response"]


def test_a_prompt_of_many_samples_shows_some(own_copy: Path) -> None:
    execute(report, {"scale": "tiny", "samples": 1}, [R / "report.html"], **report_inputs())
    made = data_of(R / "report.html")["samples"]["base/ifeval"]
    assert [row["sample"] for row in made["rows"]] == [0] * 6 and made["of"] == 40


def test_long_texts_are_cut_and_say_so(own_copy: Path) -> None:
    settings = {"scale": "tiny", "characters": 20, "generations": 50}
    execute(report, settings, [R / "report.html"], **report_inputs())
    row = data_of(R / "report.html")["samples"]["base/math"]["rows"][-1]
    assert row["response"].endswith("characters more)")
    assert row["correct"] is None and row["reason"] == "timeout: 2 s"


def test_lineage_reaches_the_sources(page: Path) -> None:
    made = data_of(page)
    todo, seen = [made["cells"]["instruct/ins-grpo/ifeval"]["artifact"]], set()
    while todo:
        number = todo.pop()
        if number not in seen:
            seen.add(number)
            todo += made["artifacts"][number]["inputs"]
    paths = {made["artifacts"][number]["path"] for number in seen}
    assert paths == {
        path.removeprefix("results/tiny/")
        for path in read_json(page.parent / "cells/instruct/ins-grpo/ifeval.json")["lineage"]
    } | {"cells/instruct/ins-grpo/ifeval.json"}


def test_average_shows_the_generations_of_its_columns(page: Path) -> None:
    cells = data_of(page)["cells"]
    assert cells["instruct/base/average"]["samples"] == ["base/ifeval", "base/math"]
    assert cells["stages/one/average"]["samples"] == ["base/ifeval"]


def test_costs_count_each_job_once(page: Path) -> None:
    """Tables write four files in one job: two tables are two jobs."""
    text = page.read_text()
    row = r'>{}</th><td class="wide">{}</td><td class="number" data-sort="{}">'
    assert re.search(row.format("table", "tables", 2), text)
    assert re.search(row.format("generate", "evaluate", 6) + r"6</td>.*?>1 min 15 s<", text)


def test_decontamination_hits(page: Path) -> None:
    text = html.unescape(page.read_text())
    assert "80 % of its n-grams, pool sft" in text
    assert "<dt>Shared with the item's prompt</dt><dd>what is 2 + 2</dd>" in text
    assert '<th scope="row" data-sort="1">ifeval</th><td class="number" data-sort="0">0</td>' in text
    assert '<th scope="row" data-sort="2">math</th><td class="number" data-sort="4">4</td>' in text


def test_hits_share_the_page(page: Path) -> None:
    """Two pools in turn until five are shown; a pool that has no more leaves its place to the others."""
    pool = open_artifact(page.parent / "pools/sft/decontaminate/manifest.json")
    shown = [hit.matched for hit in hits([pool, pool], ReportSettings(scale="tiny", hits=5))]
    assert shown == [f"what is {i} + {i}" for i in (0, 0, 1, 1, 2)]
    assert len(hits([pool], ReportSettings(scale="tiny", hits=5))) == 4
    assert hits([], ReportSettings(scale="tiny")) == []


def test_verdicts_at_a_glance(page: Path) -> None:
    """Three claims of the instruct table and one of the stages'."""
    header = page.read_text().split("</header>")[0]
    counts = [("seen", "2 seen"), ("not-seen", "1 not seen"), ("within-noise", "1 within noise")]
    assert all(f'<span class="count {style}">{text}</span>' in header for style, text in counts)


def test_stages_add_up_their_steps() -> None:
    steps = [
        Cost("train", "sft", 2, 30.0, 60.0, 7),
        Cost("train", "grpo", 1, 9.0, 0.0, 8),
        Cost("mix", "b", 1, 1, 0, 2),
    ]
    assert by_stage(steps) == [Cost("train", "sft, grpo", 3, 39.0, 60.0, 8), Cost("mix", "b", 1, 1, 0, 2)]


def test_self_contained(page: Path) -> None:
    text = page.read_text()
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)
    assert not re.search(r"@import|url\((?!#|&quot;#)", text.split('id="report-data"')[0])
    assert "<link" not in text.replace('<link rel="icon" href="data:,">', "")


def test_no_id_stands_twice(page: Path) -> None:
    identifiers = re.findall(r'\sid="([^"]+)"', page.read_text().split('id="report-data"')[0])
    assert len(identifiers) == len(set(identifiers))


def test_text_cannot_become_markup(page: Path) -> None:
    """Generations hold a closing script tag: the page must contain its own scripts alone."""
    assert len(re.findall(r"<script", page.read_text())) == 2
    assert json.loads(str(embed({"a": "</script><!--\u2028"}))) == {"a": "</script><!--\u2028"}
    assert "<" not in embed({"a": "</script>"})


def test_figures_follow_the_theme(page: Path) -> None:
    body = page.read_text().split('id="report-data"')[0]
    drawings = re.findall(r"<figure>.*?</figure>", body, re.DOTALL)
    assert len(drawings) == 9
    assert all(colour not in drawing for drawing in drawings for colour in THEME)
    style = body.split("<style>")[1].split("</style>")[0]
    assert all(f"--{variable}: light-dark(" in style for variable in THEME.values())
    assert all('role="img" aria-label="' in drawing for drawing in drawings)


def test_inline_renames_references() -> None:
    source = '<?xml?><svg width="9pt" height="8pt"><clipPath id="p"/><g clip-path="url(#p)"/><use href="#p"/></svg>'
    made = '<clipPath id="f-p"/><g clip-path="url(#f-p)"/><use href="#f-p"/></svg>'
    assert inline(source, "f", "<T>") == f'<svg role="img" aria-label="&lt;T&gt;">{made}'


def test_forest_by_hand(page: Path) -> None:
    """Averages 25 ± 6.98 to 70 ± 7.25: the range is 18.02 to 77.25 with 6 % of it free at either end."""
    result = read_result(page.parent / "tables/instruct.json")
    places = [forest(result, row.name, "average") for row in result.rows]
    assert places[0]["low"] == pytest.approx(100 * 0.06 / 1.12, abs=0.01)
    assert places[2]["high"] == pytest.approx(100 * 1.06 / 1.12, abs=0.01)
    assert places[0]["reported"] is None
    assert places[1]["value"] < places[1]["reported"] < places[2]["reported"] < places[2]["value"]


def test_units() -> None:
    assert [duration(seconds) for seconds in (2.46, 59.9, 60, 3599.6, 11_100)] == [
        "2.5 s",
        "59.9 s",
        "1 min 00 s",
        "1 h 00 min",
        "3 h 05 min",
    ]
    assert [human_bytes(number) for number in (5e8, 1.44e9)] == ["500 MB", "1.4 GB"]


def test_lineage_that_does_not_fit_makes_no_report(own_copy: Path) -> None:
    record = R / "models/base/run.json"
    write_json(record, read_json(record) | {"output": "0" * 64})
    with pytest.raises(ArtifactError, match="was made from"):
        execute(report, {"scale": "tiny"}, [R / "report.html"], **report_inputs())
    assert not (R / "report.html").exists()


# What a reader does, done by the page itself: links, sorting, panels, filters; the outcome is read from the DOM.
EARLY = """<script>
window.outcome = {errors: [], alerts: 0};
addEventListener("error", (event) => outcome.errors.push(event.message));
window.alert = () => { outcome.alerts += 1; };
</script>"""
VISIT = """<script type="module">
const until = async (holds) => {
  for (let tries = 0; tries < 100 && !holds(); tries += 1) await new Promise((resolve) => setTimeout(resolve, 20));
  return Boolean(holds());
};
const cells = () => [...document.querySelectorAll("#table-instruct tbody tr td.average .value")];
const values = () => cells().map((cell) => cell.textContent);
const average = document.querySelector("#table-instruct thead th.average button");
outcome.sorted = [values()];
for (let click = 0; click < 3; click += 1) { average.click(); outcome.sorted.push(values()); }
const model = document.querySelector("#table-instruct thead th button");
model.click(); model.click();
outcome.model = values();
outcome.dead = [...document.querySelectorAll('a[href^="#"]:not([href^="#cell/"])')]
  .filter((link) => !document.getElementById(link.getAttribute("href").slice(1))).map((link) => link.href);
const dialog = document.getElementById("panel");
outcome.cells = [...document.querySelectorAll('a[href^="#cell/"]')].length;
outcome.opened = 0;
outcome.files = [];
for (const link of document.querySelectorAll('a[href^="#cell/"]')) {
  link.click();
  const record = `cells/${link.getAttribute("href").slice("#cell/".length)}.json`;
  const shown = () => dialog.open && dialog.querySelector(`a[href="${record}"]`) !== null;
  const value = () => dialog.querySelector(".headline").firstChild.textContent;
  if (await until(shown) && value() === link.querySelector(".value").textContent) outcome.opened += 1;
  outcome.files.push(...[...dialog.querySelectorAll("a")].map((anchor) => anchor.getAttribute("href")));
}
location.hash = "#cell/instruct/base/ifeval";
await until(() => dialog.querySelector('a[href="cells/instruct/base/ifeval.json"]') !== null);
outcome.generations = {};
for (const button of dialog.querySelectorAll(".filters button")) {
  button.click();
  outcome.generations[button.textContent] = dialog.querySelectorAll(".generation").length;
}
outcome.lineage = dialog.querySelectorAll(".tree details").length;
outcome.markup = dialog.querySelectorAll(".generation b").length;
dialog.querySelector(".close").click();
outcome.closed = !dialog.open && location.hash === "";
const theme = () => getComputedStyle(document.body).backgroundColor;
outcome.themes = [theme()];
document.getElementById("theme").click();
outcome.themes.push(theme());
outcome.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
outcome.width = innerWidth;
const fetched = performance.getEntriesByType("resource").map((entry) => entry.name);
outcome.requests = fetched.filter((name) => !name.startsWith("data:"));
outcome.done = true;
parent.postMessage(JSON.stringify(outcome), "*");
</script>"""
# A frame of the wanted width, since no window of Chromium is narrower than 500 pixels; it receives the outcome.
FRAME = """<iframe style="border: 0" width="{width}" height="900" src="visited.html"></iframe>
<script>
addEventListener("message", (event) => {{
  const out = document.createElement("pre");
  out.id = "outcome";
  out.textContent = event.data;
  document.body.append(out);
}});
</script>"""


def visit(page: Path, tmp_path: Path, width: int) -> tuple[dict[str, Any], str]:
    """What happened when the page was used in Chromium at that width, and what the console said."""
    assert CHROMIUM is not None
    visited = page.with_name("visited.html")
    text = page.read_text().replace("<head>", f"<head>{EARLY}", 1).replace("</body>", f"{VISIT}</body>", 1)
    visited.write_text(text)
    frame = page.with_name("frame.html")
    frame.write_text(FRAME.format(width=width))
    done = subprocess.run(
        [
            CHROMIUM,
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--enable-logging=stderr", f"--user-data-dir={tmp_path / 'browser'}", "--window-size=1400,1000"),
            *("--virtual-time-budget=20000", "--dump-dom", frame.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    match = re.search(r'<pre id="outcome">(.*?)</pre>', done.stdout, re.DOTALL)
    assert match is not None, done.stderr[-2000:]
    return json.loads(html.unescape(match[1])), "\n".join(re.findall(r".*CONSOLE.*", done.stderr))


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_real_browser(page: Path, tmp_path: Path, width: int) -> None:
    outcome, console = visit(page, tmp_path, width)
    assert (outcome["errors"], outcome["alerts"], console) == ([], 0, "")
    assert outcome["done"] and outcome["requests"] == [] and outcome["width"] == width
    up = ["25.00", "52.50", "70.00"]
    assert outcome["sorted"] == [up, up[::-1], up, up], "highest first, then lowest first, then as it was"
    assert outcome["model"] == up[::-1]
    assert outcome["dead"] == []
    assert outcome["opened"] == outcome["cells"] == 13
    assert all((page.parent / name).is_file() for name in outcome["files"]) and len(outcome["files"]) == 13
    assert outcome["generations"] == {"all 12": 12, "right 4": 4, "wrong 8": 8, "unverifiable 0": 0}
    assert outcome["lineage"] == 11, (
        "cell, score, generations, model, data set, three pool steps, two sources, generator"
    )
    assert outcome["markup"] == 0 and outcome["closed"]
    assert outcome["themes"][0] != outcome["themes"][1]
    assert outcome["overflow"] <= 0, "the page itself never scrolls sideways, only its tables do"
    assert len(SOLVED) == 3
