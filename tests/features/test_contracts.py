"""A contract is read as it is written, and an incomplete one is refused by name."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from features.contracts import Role, find_contract, parse_contract, read_contract, read_docs
from features.schemas import DType

PROPERTIES: dict[str, Any] = {
    "models": [
        {
            "name": "ml_example_features",
            "description": "Features.\n  One row per `as_of`.",
            "config": {
                "meta": {"lake_table": "features/example", "lake_key": ["as_of"], "lake_partition": ["as_of"]}
            },
            "columns": [
                {
                    "name": "as_of",
                    "data_type": "date",
                    "description": "{{ doc('as_of') }}",
                    "constraints": [{"type": "not_null"}],
                    "config": {"meta": {"role": "key"}},
                },
                {
                    "name": "plan_tier",
                    "data_type": "varchar",
                    "description": "Plan. Null if out of scope.",
                    "config": {"meta": {"role": "feature", "theme": "contract", "segment": True}},
                    "data_tests": [{"accepted_values": {"arguments": {"values": ["small", "large"]}}}],
                },
                {
                    "name": "logins_7d",
                    "data_type": "bigint",
                    "description": "Logins. Never null.",
                    "constraints": [{"type": "not_null"}],
                    "config": {
                        "meta": {"role": "feature", "theme": "usage", "unit": "sessions", "minimum": 0}
                    },
                    "data_tests": ["unique"],
                },
                {
                    "name": "is_annual",
                    "data_type": "boolean",
                    "description": "Annual. Null if out of scope.",
                    "config": {"meta": {"role": "feature", "theme": "contract"}},
                },
                {
                    "name": "size_band",
                    "data_type": "varchar",
                    "description": "Size. Never null.",
                    "constraints": [{"type": "not_null"}],
                    "config": {"meta": {"role": "segment"}},
                },
            ],
        }
    ]
}
DOCS = {"as_of": "Day of the decision."}


def test_a_contract_becomes_a_table_and_lists_of_features() -> None:
    contract = parse_contract(PROPERTIES, "ml_example_features", docs=DOCS)
    table = contract.table
    assert (table.name, table.key, table.partition_by) == ("features/example", ("as_of",), ("as_of",))
    assert table.description == "Features. One row per `as_of`."
    assert table.column("as_of").description == "Day of the decision."
    assert [(c.name, c.dtype, c.nullable) for c in table.columns] == [
        ("as_of", DType.DATE, False),
        ("plan_tier", DType.STRING, True),
        ("logins_7d", DType.INTEGER, False),
        ("is_annual", DType.BOOLEAN, True),
        ("size_band", DType.STRING, False),
    ]
    assert table.column("plan_tier").allowed == ("small", "large")
    logins = table.column("logins_7d")
    assert (logins.unit, logins.minimum, logins.maximum, logins.allowed) == ("sessions", 0, None, None)
    assert contract.numeric == ["logins_7d", "is_annual"]
    assert contract.categorical == ["plan_tier"]
    assert contract.segments == ("plan_tier", "size_band")
    assert contract.themes == {"plan_tier": "contract", "logins_7d": "usage", "is_annual": "contract"}
    assert contract.with_role(Role.KEY) == ["as_of"]


@pytest.mark.parametrize(
    ("column", "key", "value", "message"),
    [
        (2, "data_type", "integer", r"logins_7d must have data_type of .*, got 'integer'"),
        (2, "data_type", None, "logins_7d must have data_type"),
        (2, "description", "", "logins_7d must have a description"),
        (2, "config", {}, "logins_7d must have config.meta.role"),
        (2, "config", {"meta": {"role": "input"}}, "logins_7d must have config.meta.role of .*, got 'input'"),
        (
            2,
            "config",
            {"meta": {"role": "feature"}},
            "logins_7d is a feature and must have config.meta.theme",
        ),
        (0, "description", "{{ doc('unknown') }}", "as_of refers to the docs block 'unknown'"),
    ],
)
def test_an_incomplete_column_is_refused_by_name(column: int, key: str, value: Any, message: str) -> None:
    broken = copy.deepcopy(PROPERTIES)
    broken["models"][0]["columns"][column][key] = value
    with pytest.raises(ValueError, match=message):
        parse_contract(broken, "ml_example_features", docs=DOCS)


def test_a_model_that_is_not_declared_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must declare model 'ml_other', it has \['ml_example_features'\]"):
        parse_contract(PROPERTIES, "ml_other", docs=DOCS)


def test_a_table_without_a_place_in_the_lake_is_refused() -> None:
    broken = copy.deepcopy(PROPERTIES)
    del broken["models"][0]["config"]["meta"]["lake_key"]
    with pytest.raises(ValueError, match=r"must have config.meta.\['lake_key'\]"):
        parse_contract(broken, "ml_example_features", docs=DOCS)


def test_docs_blocks_and_properties_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "docs.md").write_text(
        "{% docs as_of %}\nDay of\nthe decision.\n{% enddocs %}\n\n{% docs other %}Other.{% enddocs %}\n"
    )
    docs = read_docs(tmp_path)
    assert docs == {"as_of": "Day of the decision.", "other": "Other."}
    properties = tmp_path / "models.yml"
    properties.write_text(
        "models:\n- name: m\n  description: M.\n  config: {meta: {lake_table: a/b, lake_key: [as_of]}}\n"
        "  columns:\n  - {name: as_of, data_type: date, description: \"{{ doc('as_of') }}\","
        " config: {meta: {role: key}}}\n"
    )
    assert (
        read_contract(properties, "m", docs=docs).table.column("as_of").description == "Day of the decision."
    )


def test_a_model_is_found_in_whichever_properties_file_declares_it(tmp_path: Path) -> None:
    for name in ("a", "b"):
        meta = f"{{lake_table: x/{name}, lake_key: []}}"
        (tmp_path / f"_ml_{name}__models.yml").write_text(
            f"models:\n- name: {name}\n  description: M.\n  config: {{meta: {meta}}}\n"
        )
    (tmp_path / "_ml_a__unit_tests.yml").write_text("unit_tests: []\n")
    assert find_contract(tmp_path, "b").table.name == "x/b"
    with pytest.raises(ValueError, match=r"must declare model 'c', they have \['a', 'b'\]"):
        find_contract(tmp_path, "c")
