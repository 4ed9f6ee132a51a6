// The panel of a cell: its number, a sample of its generations, its lineage. All text is set as text, never as markup.
const data = JSON.parse(document.getElementById("report-data").textContent);
const dialog = document.getElementById("panel");

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}
const shortName = (path) => path.replace(/\/manifest\.json$/, "");
const points = (number) => number.toFixed(2);
const signed = (number) => (number < 0 ? "−" : "+") + points(Math.abs(number));

function cellPanel(name) {
  const cell = data.cells[name];
  const facts = [`${cell.metric} of ${cell.model}`, `${cell.n} prompts`];
  if (cell.samples_per_prompt) facts.push(`${cell.samples_per_prompt} ${cell.samples_per_prompt === 1 ? "sample" : "samples"} per prompt`);
  if (cell.reported !== null) facts.push(`paper ${points(cell.reported)}, ${signed(cell.value - cell.reported)}`);
  return [
    make("button", { type: "button", class: "close", "aria-label": "Close", onclick: leave }, "×"),
    make("p", { class: "muted", style: "margin:0" }, cell.table),
    make("h2", { id: "panel-title" }, cell.title),
    make("p", { class: "headline" }, points(cell.value), " ", make("span", { class: "error" }, `± ${points(cell.stderr)}`)),
    make("p", { class: "muted", style: "margin:0" }, facts.join(" · ")),
    make("h3", {}, "Make it again"),
    make("pre", {}, cell.command),
    make("p", { class: "note" }, "Add --cores all on one machine, --profile slurm on a cluster. Its record: ", make("a", { href: `cells/${name}.json` }, `cells/${name}.json`)),
    make("h3", {}, "Generations"),
    ...generations(cell.samples),
    make("h3", {}, "Lineage"),
    make("ul", { class: "tree" }, artifact(cell.artifact, new Set(), true)),
  ];
}

const VERDICTS = [["all", "all"], ["right", "seen"], ["wrong", "not-seen"], ["unverifiable", "within-noise"]];
const verdictOf = (row) => (row.correct === null ? "unverifiable" : row.correct ? "right" : "wrong");

function generations(names) {
  const rows = names.flatMap((name) => data.samples[name].rows.map((row) => ({ ...row, of: name })));
  const total = names.reduce((sum, name) => sum + data.samples[name].of, 0);
  const list = make("div");
  const buttons = VERDICTS.map(([label]) => {
    const count = label === "all" ? rows.length : rows.filter((row) => verdictOf(row) === label).length;
    return make("button", { type: "button", "aria-pressed": "false", onclick: () => show(label) }, `${label} ${count}`);
  });
  function show(label) {
    buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(VERDICTS[index][0] === label)));
    const chosen = rows.filter((row) => label === "all" || verdictOf(row) === label);
    list.replaceChildren(...chosen.map((row) => generation(row, names.length > 1)));
  }
  show("all");
  const unverified = {};
  for (const [reason, count] of names.flatMap((name) => Object.entries(data.samples[name].unverifiable)))
    unverified[reason] = (unverified[reason] ?? 0) + count;
  const note = `${rows.length} of ${total} raw generations, evenly spaced over the prompts.`;
  const reasons = Object.entries(unverified).map(([reason, count]) => `${reason} ${count}`).join(", ");
  return [
    make("p", { class: "note" }, note + (reasons ? ` Not verifiable, counted as wrong: ${reasons}.` : "")),
    make("div", { class: "filters", role: "group", "aria-label": "Show by verdict" }, ...buttons),
    list,
  ];
}

function generation(row, named) {
  const verdict = verdictOf(row);
  const style = VERDICTS.find(([label]) => label === verdict)[1];
  const part = (label, text) => [make("div", { class: "label" }, label), make("pre", {}, text)];
  return make(
    "details", { class: "generation" },
    make("summary", {}, make("span", { class: `verdict ${style}` }, verdict), make("span", { class: "ask" }, row.prompt)),
    ...part(named ? `Prompt (${row.of})` : "Prompt", row.prompt),
    ...part(`Response: ${row.tokens} tokens, ended by ${row.finish}, sample ${row.sample} of ${row.id}`, row.response),
    ...(row.expected ? part("Verified against", row.expected) : []),
    ...part("Verdict", row.reason || verdict),
  );
}

function artifact(number, shown, open) {
  const item = data.artifacts[number];
  if (shown.has(number)) return make("li", { class: "above" }, `${shortName(item.path)} (above)`);
  shown.add(number);
  const pairs = {
    Digest: item.digest,
    Step: item.step,
    Commit: (item.commit ?? "unknown") + (item.dirty ? " with uncommitted changes" : ""),
    Environment: Object.entries(item.environment).map(([name, digest]) => `${name} ${String(digest).slice(0, 16)}`).join(", "),
    Run: `${item.started.slice(0, 16).replace("T", " ")} UTC on ${item.host}, ${item.seconds} s, seed ${item.seed}`,
    Settings: Object.entries(item.settings).map(([name, value]) => `${name} = ${value}`).join(", "),
    Counts: Object.entries(item.counts).map(([name, value]) => `${name} = ${value}`).join(", "),
  };
  const entries = Object.entries(pairs).filter(([, value]) => value);
  const about = make("details", {}, make("summary", {}, shortName(item.path)));
  about.append(make("dl", {}, ...entries.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])));
  about.open = Boolean(open);
  const node = make("li", {}, about);
  if (item.inputs.length) node.append(make("ul", {}, ...item.inputs.map((input) => artifact(input, shown, false))));
  return node;
}

function route() {
  const name = decodeURIComponent(location.hash).replace(/^#cell\//, "");
  if (!location.hash.startsWith("#cell/") || !(name in data.cells)) {
    if (dialog.open) dialog.close();
    return;
  }
  dialog.firstElementChild.replaceChildren(...cellPanel(name));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}
function leave() {
  if (location.hash.startsWith("#cell/")) history.replaceState(null, "", location.pathname + location.search);
  if (dialog.open) dialog.close();
}
dialog.addEventListener("click", (event) => { if (event.target === dialog) leave(); });
dialog.addEventListener("close", () => { if (!dialog.open) leave(); });
addEventListener("hashchange", route);
route();
