"""Reference bins of a model version: written by the train step, read by every monitoring run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import DataContractError
from pipelines.io.lake import Commit, Lake, having
from pipelines.monitoring.bins import Bins, count, make_bins
from pipelines.monitoring.performance import expected_auc_pr
from pipelines.monitoring.schemas import ALL, REFERENCE, SCORE
from pipelines.monitoring.subjects import Subjects

Counts = npt.NDArray[np.int64]
Segment = tuple[str, str]
#: By segment column: names of the segments, and the position of each row's name, shape (n,).
Groups = dict[str, tuple[list[str], npt.NDArray[np.int64]]]


@dataclass(frozen=True)
class SegmentCounts:
    """Bin counts of one variable in one segment."""

    #: Rows per bin, shape (bins.size,).
    counts: Counts
    #: Distinct subjects behind them.
    subjects: int
    #: AUC-PR to expect of the segment's scores; None for features.
    expected_auc_pr: float | None = None

    @property
    def independent(self) -> int:
        """Independent rows: one per subject, of those that have a value."""
        return min(self.subjects, int(self.counts.sum()))


@dataclass(frozen=True)
class Reference:
    """All reference bins of a model version."""

    model_version: str
    as_of: date
    #: By variable.
    bins: dict[str, Bins]
    #: By variable, then by (segment column, segment).
    counts: dict[str, dict[Segment, SegmentCounts]]

    @property
    def features(self) -> list[str]:
        """Monitored variables other than the score."""
        return [name for name in self.bins if name != SCORE]


@dataclass(frozen=True)
class Sample:
    """Rows of a training, against which later days are watched for drift."""

    #: Features of rows that are like those that will be served, best of those that judged the version; dates
    #: are left out. Anything Arrow can read (``pyarrow.Table``, pandas or Polars frame).
    features: Any
    #: What the rows are about. Its columns are taken from ``scores`` where ``features`` lacks them.
    subjects: Subjects
    #: Predictions for the same rows in the same order, on data that the version was not fitted on: ``score``,
    #: the subject and the segment columns, one row per subject and snapshot; None if it predicts no score.
    scores: Any | None = None


def store_reference(lake: Lake, model_version: str, sample: Sample, *, usecase: str, as_of: date) -> Commit:
    """Keep the bin counts of the features of a version trained on ``as_of`` and, if it has any, of its scores.

    Storing the same version again replaces it. Raises ``DataContractError`` if a column is missing, there are
    no rows, or the two differ in length.
    """
    subjects = sample.subjects
    needed = (subjects.column, *subjects.segments)
    features = _without_index(pa.table(sample.features))
    rows: list[dict[str, Any]] = []
    if sample.scores is not None:
        scores = _without_index(pa.table(sample.scores))
        features = _completed(features, scores, needed)
        _require(scores, (*needed, SCORE), "scores", model_version)
        rows += _binned(scores, [SCORE], subjects, expected_by_segment(scores, subjects.segments))
    _require(features, needed, "features", model_version)
    watched = [
        field.name
        for field in features.schema
        if field.name != subjects.column and not pa.types.is_temporal(field.type)
    ]
    rows += _binned(features, watched, subjects, {})
    partition = {"usecase": usecase, "model_version": model_version}
    fixed = {**partition, "as_of": as_of}
    return lake.replace_partition(REFERENCE, [fixed | row for row in rows], partition)


def _require(table: pa.Table, names: Sequence[str], what: str, model_version: str) -> None:
    missing = [name for name in names if name not in table.column_names]
    if missing or not table.num_rows:
        raise DataContractError(
            f"the monitoring reference of {model_version} needs {what} with rows and the columns {list(names)}, "
            f"missing {missing}, rows {table.num_rows}"
        )


def _binned(
    table: pa.Table, names: Sequence[str], subjects: Subjects, expected: Mapping[Segment, float]
) -> Iterator[dict[str, Any]]:
    """Rows of the reference for some variables of a table."""
    distinct = _distinct_subjects(table, subjects.segments, subjects.column)
    groups = segment_groups(table, subjects.segments)
    for name in names:
        bins = make_bins(name, table[name])
        counted = segment_counts(table, bins, groups, counts_missing=subjects.counts_missing)
        for segment, counts in counted.items():
            yield from _rows(bins, segment, SegmentCounts(counts, distinct[segment], expected.get(segment)))


def _without_index(table: pa.Table) -> pa.Table:
    """Drop the columns into which Arrow turns the index of a pandas frame."""
    return table.drop_columns([name for name in table.column_names if name.startswith("__index_level_")])


def _completed(features: pa.Table, scores: pa.Table, names: Sequence[str]) -> pa.Table:
    if features.num_rows != scores.num_rows:
        raise DataContractError(
            f"scores and features must be the same rows, got {scores.num_rows} and {features.num_rows}"
        )
    for name in names:
        if name not in features.column_names and name in scores.column_names:
            features = features.append_column(name, scores[name])
    return features


def load_reference(lake: Lake, usecase: str, model_version: str) -> Reference | None:
    """Read the reference bins of a version; None if the train step never stored any."""
    where = having(usecase=usecase, model_version=model_version)
    table = lake.read(REFERENCE, where=where, missing_ok=True).sort_by("bin")
    if not table.num_rows:
        return None
    bins: dict[str, Bins] = {}
    counts: dict[str, dict[Segment, SegmentCounts]] = {}
    grouped: dict[tuple[str, Segment], list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        grouped.setdefault((row["variable"], (row["segment_column"], row["segment"])), []).append(row)
    for (variable, segment), group in grouped.items():
        bins[variable] = _bins_of(variable, group)
        counts.setdefault(variable, {})[segment] = SegmentCounts(
            counts=np.array([row["rows"] for row in group], dtype=np.int64),
            subjects=group[0]["subjects"],
            expected_auc_pr=group[0]["expected_auc_pr"],
        )
    return Reference(model_version, table["as_of"][0].as_py(), bins, counts)


def segment_groups(table: pa.Table, segments: Sequence[str]) -> Groups:
    """Number the segments of every row: once per table, whatever the number of variables."""
    return {column: _groups(table[column]) for column in segments}


def segment_counts(
    table: pa.Table, bins: Bins, groups_by: Groups, *, counts_missing: bool = True
) -> dict[Segment, Counts]:
    """Bin counts of one variable for all rows and for every segment; without missing values if they do not count."""
    codes = bins.codes(table[bins.variable])
    found: dict[Segment, Counts] = {(ALL, ALL): count(codes, bins.size)[0]}
    for column, (names, groups) in groups_by.items():
        counted = count(codes, bins.size, groups, len(names))
        found |= {(column, name): counted[index] for index, name in enumerate(names)}
    if not counts_missing:
        for counts in found.values():
            counts[-1] = 0
    return found


def expected_by_segment(table: pa.Table, segments: Sequence[str]) -> dict[Segment, float]:
    """AUC-PR to expect of the scores of all rows and of every segment (see :func:`expected_auc_pr`)."""
    scores = pc.cast(table[SCORE], pa.float64()).to_numpy()
    found: dict[Segment, float] = {(ALL, ALL): expected_auc_pr(scores)}
    for column in segments:
        names, groups = _groups(table[column])
        found |= {(column, name): expected_auc_pr(scores[groups == i]) for i, name in enumerate(names)}
    return found


def _groups(values: pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.int64]]:
    encoded = pc.fill_null(pc.cast(values, pa.string()), "unknown").combine_chunks().dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)


def _distinct_subjects(table: pa.Table, segments: Sequence[str], subject: str) -> dict[Segment, int]:
    found: dict[Segment, int] = {(ALL, ALL): pc.count_distinct(table[subject]).as_py()}
    for column in segments:
        frame = pa.table({"segment": pc.fill_null(table[column], "unknown"), "subject": table[subject]})
        counted = frame.group_by("segment").aggregate([("subject", "count_distinct")])
        for row in counted.to_pylist():
            found[(column, row["segment"])] = row["subject_count_distinct"]
    return found


def _rows(bins: Bins, segment: Segment, found: SegmentCounts) -> Iterator[dict[str, Any]]:
    for index, rows in enumerate(found.counts.tolist()):
        yield {
            "variable": bins.variable,
            "kind": bins.kind,
            "segment_column": segment[0],
            "segment": segment[1],
            "bin": index,
            "upper": bins.edges[index] if index < len(bins.edges) else None,
            "category": bins.categories[index] if index < len(bins.categories) else None,
            "rows": rows,
            "subjects": found.subjects,
            "expected_auc_pr": found.expected_auc_pr,
        }


def _bins_of(variable: str, group: list[dict[str, Any]]) -> Bins:
    return Bins(
        variable,
        group[0]["kind"],
        edges=tuple(row["upper"] for row in group if row["upper"] is not None),
        categories=tuple(row["category"] for row in group if row["category"] is not None),
    )
