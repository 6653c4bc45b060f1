"""Tables that one use case hands over to another: declared below both, so that neither imports the other."""

from __future__ import annotations

from features.schemas import Column, DType, Reference, Table


def _number(name: str, words: str, *, minimum: float | None = None, maximum: float | None = None) -> Column:
    return Column(name, DType.NUMBER, words, minimum=minimum, maximum=maximum)


#: From clustering to demand, which reads the newest groups known before its day as an attribute of the store.
STORE_CLUSTERS = Table(
    name="predictions/store_clusters",
    description=(
        "Group of every store in scope, and how well it fits. Demand forecasting reads it as an attribute of the "
        "store. One row per `as_of` and store."
    ),
    columns=(
        Column(
            "as_of", DType.DATE, "Day on which stores were grouped; nothing known on or after it is used."
        ),
        Column("store_id", DType.STRING, "Store."),
        Column("cluster", DType.STRING, "Name of the group: a letter that stays with it from run to run."),
        _number("distance", "Distance from the centre of its group, on the axes.", minimum=0),
        _number(
            "typicality",
            "Share of the group's stores of training that differ from the group as much or more: 0 is unlike all.",
            minimum=0,
            maximum=1,
        ),
        Column("second_cluster", DType.STRING, "The next nearest group."),
        _number("second_distance", "Distance from its centre.", minimum=0),
        _number(
            "deviation",
            "How far its difference from the group is above the usual one, in robust standard deviations.",
        ),
        Column("is_typical", DType.BOOLEAN, "Whether it is one of the stores that stand for the group."),
        Column("is_atypical", DType.BOOLEAN, "Whether it is unusually far from the others of its group."),
        Column(
            "why",
            DType.STRING,
            "What makes it typical or atypical, in words; null for the others.",
            nullable=True,
        ),
        _number("axis_1", "Place on the first axis of the map."),
        _number("axis_2", "Place on the second axis; 0 if there is one only."),
        Column(
            "previous_cluster",
            DType.STRING,
            "Group on the last earlier day; null if it had none.",
            nullable=True,
        ),
        Column("model_version", DType.STRING, "Version in the MLflow registry, as `clustering/<n>`."),
    ),
    key=("as_of", "store_id"),
    partition_by=("as_of",),
    references=(Reference(("as_of", "store_id"), "features/clustering", where="in_scope"),),
    steady=("cluster",),
)
