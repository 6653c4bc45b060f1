"""Short if-then sentences that a forest lives by, with how far they reach and how much they raise a chance.

Candidates are the first few levels of the trees: what they ask of a row to get to a node is a rule. The rules that
raise the chance most are chosen on one half of the customers and measured on the other, so that what is told is not
the luck of the choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.classification.packed_trees import PackedTrees

Floats = NDArray[np.float64]

#: How a column is told: a noun for a number, or for a flag what is said if it is set and if it is not.
Wordings = Mapping[str, str | tuple[str, str]]


@dataclass(frozen=True)
class Condition:
    """A row's value is above ``low`` and at most ``high``; a missing value is neither.

    Attributes
    ----------
    position, feature
        Column by position and by name.
    low, high : float
        Infinite where that side is open.
    """

    position: int
    feature: str
    low: float
    high: float

    def holds(self, X: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether each row meets it."""
        values = X[:, self.position]
        return np.asarray((values > self.low) & (values <= self.high))

    def words(self, wordings: Wordings) -> str:
        """Say it; a column without wording is called by its name."""
        said = wordings.get(self.feature, self.feature.replace("_", " "))
        if isinstance(said, tuple):
            return said[0] if self.low > -np.inf else said[1]
        above = f" above {_number(self.low)}" if self.low > -np.inf else ""
        most = f" at most {_number(self.high)}" if self.high < np.inf else ""
        return said + above + ("," if above and most else "") + most


@dataclass(frozen=True)
class Rule:
    """Conditions that raise a chance together.

    Attributes
    ----------
    conditions : tuple of Condition
    support : float
        Share of the rows that meet them.
    lift : float
        How many times as frequent the event is among them as among all rows.
    rate : float
        Share of the event among them.
    events : int
        Events among them, in the half of the customers on which the rule was measured.
    """

    conditions: tuple[Condition, ...]
    support: float = float("nan")
    lift: float = float("nan")
    rate: float = float("nan")
    events: int = 0

    def holds(self, X: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether each row meets all conditions."""
        return np.asarray(np.logical_and.reduce([condition.holds(X) for condition in self.conditions]))

    def words(self, wordings: Wordings) -> str:
        """Say it with its support and lift."""
        met = " and ".join(condition.words(wordings) for condition in self.conditions)
        share = f"{self.support:.0%}" if self.support >= 0.01 else f"{self.support:.1%}"
        return f"{met}: {self.lift:.1f} times as likely ({share} of those who do not have it)"


def forest_rules(
    trees: PackedTrees,
    X: NDArray[Any],
    event: NDArray[np.bool_],
    names: Sequence[str],
    *,
    groups: NDArray[Any] | None = None,
    most: int = 5,
    depth: int = 3,
    min_support: float = 0.005,
    min_lift: float = 1.5,
    min_events: int = 15,
    other_rows: int = 20_000,
    seed: int = 0,
) -> tuple[Rule, ...]:
    """Rules of a forest, strongest first.

    Parameters
    ----------
    trees
        The forest.
    X : ndarray of shape (n, n_features)
        Rows on which rules are chosen and measured.
    event : ndarray of shape (n,)
    names : sequence of str
        Names of the columns.
    groups : ndarray of shape (n,), optional
        Whom a row is about; a customer is in one half with all rows.
    most
        Most rules.
    depth
        Most conditions of a rule.
    min_support, min_lift, min_events
        What a rule must reach on the first half; its lift and events on the second, too.
    other_rows
        Most rows without the event that are looked at, a sample that is accounted for.
    """
    rng = np.random.default_rng(seed)
    others = np.flatnonzero(~event)
    taken = rng.choice(others, min(len(others), other_rows), replace=False)
    rows = np.concatenate([np.flatnonzero(event), taken])
    rows.sort()
    X, true = X[rows], event[rows]
    weight = np.where(true, 1.0, len(others) / max(len(taken), 1))
    group = np.arange(len(rows)) if groups is None else np.unique(groups[rows], return_inverse=True)[1]
    half = rng.random(int(group.max()) + 1 if len(group) else 0)[group.reshape(-1)] < 0.5
    chosen: list[tuple[Rule, NDArray[np.bool_]]] = []
    tried = 0
    for rule, met in _strongest(
        _candidates(trees, X, names, depth), X, true, weight, half, min_support, min_lift, min_events
    ):
        told = _measured(rule, met, true, weight, ~half)
        if any((met & other & true).sum() >= 0.7 * (met & true).sum() for _, other in chosen):
            continue  # says much the same as a stronger one
        tried += 1
        if told.lift >= min_lift and told.events >= min_events and _cautious(told) > 1:
            chosen.append((told, met))
        if len(chosen) == most or tried == 2 * most:  # trying on would be choosing on the second half
            break
    return tuple(sorted((rule for rule, _ in chosen), key=lambda rule: -rule.lift))


def first_rule(rules: Sequence[Rule], X: NDArray[Any]) -> NDArray[np.int64]:
    """Position of the first rule that each row meets; -1 where it meets none."""
    first = np.full(len(X), -1, dtype=np.int64)
    for position, rule in reversed(list(enumerate(rules))):
        first[rule.holds(X)] = position
    return first


def _candidates(trees: PackedTrees, X: NDArray[Any], names: Sequence[str], depth: int) -> list[Rule]:
    """Distinct rules of the nodes in which the event is more frequent than at the root."""
    binary = [bool(np.isin(column, (0.0, 1.0)).all()) for column in X.T]
    whole = [bool((np.isnan(column) | (column == np.floor(column))).all()) for column in X.T]
    found: dict[tuple[Condition, ...], None] = {}
    for root in trees.root.tolist():
        stack: list[tuple[int, dict[int, tuple[float, float]]]] = [(root, {})]
        while stack:
            node, asked = stack.pop()
            if asked and trees.value[node] > trees.value[root]:
                conditions = tuple(
                    Condition(column, names[column], low, high)
                    for column, (low, high) in sorted(asked.items())
                )
                found.setdefault(conditions)
            column = int(trees.feature[node])
            if column < 0 or (column not in asked and len(asked) == depth):
                continue
            low, high = asked.get(column, (-np.inf, np.inf))
            # Said and measured alike: three digits are all that anybody reads, and ages have no halves.
            at = float(f"{trees.threshold[node]:.3g}")
            at = 0.5 if binary[column] else float(np.floor(at)) if whole[column] else at
            if not low < at < high:
                continue
            stack.append((int(trees.left[node]), {**asked, column: (low, at)}))
            stack.append((int(trees.right[node]), {**asked, column: (at, high)}))
    return [Rule(conditions) for conditions in found]


def _strongest(
    candidates: list[Rule],
    X: NDArray[Any],
    true: NDArray[np.bool_],
    weight: Floats,
    half: NDArray[np.bool_],
    min_support: float,
    min_lift: float,
    min_events: int,
) -> list[tuple[Rule, NDArray[np.bool_]]]:
    """Candidates that reach the limits on one half, by a cautious lift; shorter ones first among equals."""
    holds: dict[Condition, NDArray[np.bool_]] = {}
    kept: list[tuple[float, Rule, NDArray[np.bool_]]] = []
    for rule in candidates:
        for condition in rule.conditions:
            if condition not in holds:
                holds[condition] = condition.holds(X)
        met = np.logical_and.reduce([holds[condition] for condition in rule.conditions])
        seen = _measured(rule, met, true, weight, half)
        if seen.support >= min_support and seen.lift >= min_lift and seen.events >= min_events:
            kept.append((_cautious(seen) * 0.95 ** len(rule.conditions), rule, met))
    kept.sort(key=lambda item: -item[0])
    return [(rule, met) for _, rule, met in kept]


def _number(value: float) -> str:
    """Three digits, or all of a larger whole number."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _cautious(rule: Rule) -> float:
    """Lift less what chance may have added: about the lower end of a one-sided 95 % interval."""
    return float(rule.lift * (1 - 1.645 / np.sqrt(rule.events)))


def _measured(
    rule: Rule, met: NDArray[np.bool_], true: NDArray[np.bool_], weight: Floats, part: NDArray[np.bool_]
) -> Rule:
    inside = met & part
    total, reached = float(weight[part].sum()), float(weight[inside].sum())
    events, all_events = int((inside & true).sum()), int((part & true).sum())
    if not reached or not all_events:
        return replace(rule, support=0.0, lift=0.0, rate=0.0, events=0)
    rate = events / reached
    return replace(rule, support=reached / total, lift=rate / (all_events / total), rate=rate, events=events)
