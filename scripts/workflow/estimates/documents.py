"""The cost of reading, curation and building data sets: the number of documents times CPU milliseconds per document."""

from __future__ import annotations

from scripts.distill.settings.sample import Draw
from scripts.workflow.artifacts import Artifact
from scripts.workflow.estimates.basis import Basis, Cost

DOCUMENT_MS = {
    "sources.normalize": 0.4,
    "curate.format": 0.2,
    "curate.language": 0.6,
    "curate.length": 0.3,
    "curate.repetition": 4.5,
    "curate.refusal": 0.3,
    "curate.truncation": 0.2,
    "curate.pii": 0.2,
    "curate.exact_dedup": 0.3,
    "curate.near_dedup": 2.6,
    "curate.decontaminate": 0.7,
    "curate.classify": 0.3,
}
"""Step to CPU milliseconds per document, measured on chat of 3,500 characters (docs/recipe.md, section 9)."""
SELECTION_MS = 1.1  # embedding and selection of one candidate, measured (docs/distillation.md)


def rows(basis: Basis, source: str) -> int:
    """The number of rows in a source's settings; 0 if they do not state it, as for files."""
    return getattr(basis.config.sources[source], "rows", None) or 0


def pool_size(basis: Basis, pool: str) -> float:
    """Records of a curated pool."""
    return basis.assumed.kept * sum(rows(basis, source) for source in basis.config.pools[pool].sources)


def _documents(basis: Basis, step: str, count: float) -> Cost:
    milliseconds = DOCUMENT_MS[step]
    return Cost(
        cpu_hours=count * milliseconds / 3.6e6,
        disk_bytes=count * basis.assumed.record_bytes,
        basis=f"{count:,.0f} documents x {milliseconds:g} ms",
    )


def download(basis: Basis, artifact: Artifact) -> Cost:
    """Disk and download of a hub data set."""
    count = rows(basis, artifact.names["source"])
    size = count * basis.assumed.record_bytes
    return Cost(disk_bytes=size, download_bytes=size, basis=f"{count:,.0f} rows")


def normalize(basis: Basis, artifact: Artifact) -> Cost:
    """CPU time of reading a source, and the download if it is a file behind a URL."""
    count = rows(basis, artifact.names["source"])
    cost = _documents(basis, "sources.normalize", count)
    address = getattr(basis.config.sources[artifact.names["source"]], "path", "")
    fetched = count * basis.assumed.record_bytes if "://" in address else 0
    return Cost(cost.gpu_hours, cost.cpu_hours, cost.disk_bytes, fetched, cost.basis)


def curate(basis: Basis, artifact: Artifact) -> Cost | None:
    """CPU time of one curation step of a pool; the estimate assumes the raw number of rows for every step."""
    count = pool_size(basis, artifact.names["pool"]) / basis.assumed.kept
    return _documents(basis, artifact.step, count) if artifact.step in DOCUMENT_MS else None


def build(basis: Basis, artifact: Artifact) -> Cost:
    """CPU time of selecting a data set's records."""
    dataset = basis.config.datasets[artifact.names["dataset"]]
    candidates = _candidates(basis, artifact.names["dataset"])
    milliseconds = DOCUMENT_MS["sources.normalize"] if dataset.select.kind == "random" else SELECTION_MS
    return Cost(
        cpu_hours=candidates * milliseconds / 3.6e6,
        disk_bytes=dataset_size(basis, artifact.names["dataset"]) * basis.assumed.record_bytes,
        basis=f"{candidates:,.0f} candidates x {milliseconds:g} ms",
    )


def _candidates(basis: Basis, name: str) -> float:
    dataset = basis.config.datasets[name]
    if dataset.responses is not None:
        return drawn(
            basis, basis.config.responses[dataset.responses].draw, basis.config.responses[dataset.responses].pool
        )
    if dataset.graded is not None:
        return drawn(basis, basis.config.graded[dataset.graded], basis.config.graded[dataset.graded].pool)
    if dataset.pool is not None:
        return pool_size(basis, dataset.pool)
    return sum(rows(basis, source) for source in dataset.sources or ())


def dataset_size(basis: Basis, name: str) -> float:
    """Records of a data set: its size if it is set, else all candidates."""
    return basis.config.datasets[name].size or _candidates(basis, name)


def drawn(basis: Basis, draw: Draw, pool: str) -> float:
    """Prompts that a draw takes from a pool."""
    return min(draw.prompts or float("inf"), pool_size(basis, pool))
