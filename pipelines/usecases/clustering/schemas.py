"""Tables that clustering writes besides its features, which dbt declares."""

from __future__ import annotations

from features.schemas import AS_OF, MODEL_VERSION, Reference, Table, day, flag, integer, number, text

TRAINED = day("as_of", "Day for which the groups were found.")
STORE = text("store_id", "Store.")
CLUSTER = text("cluster", "Name of the group: a letter that stays with it from run to run.")


CLUSTERS = Table(
    name="predictions/store_clusters",
    description=(
        "Group of every store in scope, and how well it fits. Demand forecasting reads it as an attribute of the "
        "store. One row per `as_of` and store."
    ),
    columns=(
        AS_OF,
        STORE,
        CLUSTER,
        number("distance", "Distance from the centre of its group, on the axes.", minimum=0),
        number(
            "typicality",
            "Share of the group's stores of training that differ from the group as much or more: 0 is unlike all.",
            minimum=0,
            maximum=1,
        ),
        text("second_cluster", "The next nearest group."),
        number("second_distance", "Distance from its centre.", minimum=0),
        number(
            "deviation",
            "How far its difference from the group is above the usual one, in robust standard deviations.",
        ),
        flag("is_typical", "Whether it is one of the stores that stand for the group."),
        flag("is_atypical", "Whether it is unusually far from the others of its group."),
        text("why", "What makes it typical or atypical, in words; null for the others.", nullable=True),
        number("axis_1", "Place on the first axis of the map."),
        number("axis_2", "Place on the second axis; 0 if there is one only."),
        text("previous_cluster", "Group on the last earlier day; null if it had none.", nullable=True),
        MODEL_VERSION,
    ),
    key=("as_of", "store_id"),
    partition_by=("as_of",),
    references=(Reference(("as_of", "store_id"), "features/clustering", where="in_scope"),),
    steady=("cluster",),
)

PROFILES = Table(
    name="predictions/store_cluster_profiles",
    description=(
        "What sets each group apart: its mean of each variable, or share of each category, against all stores. "
        "One row per `as_of`, group, variable and category."
    ),
    columns=(
        AS_OF,
        CLUSTER,
        text("variable", "Feature, from `features/clustering`."),
        text("category", "Value of a feature that holds words or yes and no; empty for numbers."),
        text("kind", "Whether `inside` is a mean or a share.", allowed=("numeric", "category")),
        integer("stores", "Stores of the group for which the variable is known.", minimum=0),
        number(
            "inside",
            "Mean of the group, or share of its stores in the category. Null if not known.",
            nullable=True,
        ),
        number("overall", "The same of all stores. Null if not known.", nullable=True),
        number(
            "v_test",
            "Distance from what chance would give, in standard deviations; beyond 1.96 either way it is not chance.",
            nullable=True,
        ),
        number("p_value", "Probability of such a distance by chance.", nullable=True, minimum=0, maximum=1),
        text("words", "The same as a sentence."),
        MODEL_VERSION,
    ),
    key=("as_of", "cluster", "variable", "category"),
    partition_by=("as_of",),
)

MIGRATIONS = Table(
    name="predictions/store_cluster_migrations",
    description=(
        "Stores whose group is another than on the last earlier day, and why. One row per `as_of` and store that "
        "moved, came or left."
    ),
    columns=(
        AS_OF,
        STORE,
        day("previous_as_of", "The day compared with."),
        # Another group, grouped for the first time, or not any more.
        text("move", "What became of it.", allowed=("moved", "new", "left")),
        text("from_cluster", "Group on that day; null if it had none.", nullable=True),
        text("to_cluster", "Group now; null if it has none.", nullable=True),
        text(
            "cause",
            "`store`: its variables changed; `groups`: with its old values it would be in another group as well, since "
            "new groups were found; `dissolved`: its group is gone; `scope`: it came or left.",
            allowed=("store", "groups", "dissolved", "scope"),
        ),
        text("words", "What changed, in words."),
        text("variables_json", "Variables that explain the move: name, before, now, part of it."),
        MODEL_VERSION,
    ),
    key=("as_of", "store_id"),
    partition_by=("as_of",),
)

CHOICES = Table(
    name="predictions/store_cluster_choices",
    description="What each number of groups is worth, of a training. One row per `as_of` and number of groups.",
    columns=(
        TRAINED,
        integer("n_clusters", "Number of groups.", minimum=1),
        number(
            "within_share", "Inertia within the groups, as a share of the whole.", minimum=0, maximum=1.000001
        ),
        number(
            "inertia_gain",
            "Share of the inertia that the last split explains; null for one group.",
            nullable=True,
        ),
        number("silhouette", "How clearly stores belong to their group; null for one group.", nullable=True),
        flag("chosen", "Whether the groups of the version are these."),
        MODEL_VERSION,
    ),
    key=("as_of", "n_clusters"),
    partition_by=("as_of",),
)

TREES = Table(
    name="predictions/store_cluster_trees",
    description=(
        "The tree that groups are cut from, as SciPy's linkage matrix: nodes below the number of stores are stores "
        "in the order of `store_id`. One row per `as_of` and merge."
    ),
    columns=(
        TRAINED,
        integer("step", "Number of the merge, 0 first.", minimum=0),
        integer("left", "Node that is merged.", minimum=0),
        integer("right", "Node it is merged with.", minimum=0),
        number("height", "Distance at which they are.", minimum=0),
        integer("stores", "Stores below.", minimum=2),
        MODEL_VERSION,
    ),
    key=("as_of", "step"),
    partition_by=("as_of",),
)

AXES = Table(
    name="predictions/store_cluster_axes",
    description="Axes of the map of a training. One row per `as_of` and axis.",
    columns=(
        TRAINED,
        integer("axis", "Number of the axis, 1 first.", minimum=1),
        number("explained", "Share of the differences between stores on it.", minimum=0, maximum=1.000001),
        text("words", "Variables that grow or fall along it."),
        MODEL_VERSION,
    ),
    key=("as_of", "axis"),
    partition_by=("as_of",),
)

STABILITY = Table(
    name="predictions/store_cluster_stability",
    description=(
        "Whether groups come out again from bootstrap samples of the stores. One row per `as_of` and group."
    ),
    columns=(
        TRAINED,
        CLUSTER,
        integer("stores", "Stores of the group.", minimum=1),
        number("jaccard", "Mean similarity with the nearest group of each sample.", minimum=0, maximum=1),
        number("recovered", "Share of the samples with a group at least 0.75 similar.", minimum=0, maximum=1),
        number(
            "dissolved", "Share of the samples without a group at least 0.5 similar.", minimum=0, maximum=1
        ),
        text("state", "What follows from it.", allowed=("stable", "doubtful", "unstable")),
        MODEL_VERSION,
    ),
    key=("as_of", "cluster"),
    partition_by=("as_of",),
)

VALIDATION = Table(
    name="predictions/store_cluster_validation",
    description=(
        "How clearly each store belongs to its group, by candidate: the challenger, the serving model, and what "
        "people grouped by before. One row per `as_of`, candidate and store."
    ),
    columns=(
        TRAINED,
        text("candidate", "Who grouped: `challenger`, `champion` or a feature."),
        STORE,
        text("group", "Its group there."),
        number(
            "silhouette", "From -1 (in the wrong group) to 1 (far from all others).", minimum=-1, maximum=1
        ),
        MODEL_VERSION,
    ),
    key=("as_of", "candidate", "store_id"),
    partition_by=("as_of",),
)

TABLES = (CLUSTERS, PROFILES, MIGRATIONS, CHOICES, TREES, AXES, STABILITY, VALIDATION)
