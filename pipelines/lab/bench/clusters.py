"""Bench of the clustering: the stores of Rossmann grouped by their profiles, and how far the groups can be trusted."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from models.clustering.clusterer import StoreClustering
from models.clustering.groupwise import silhouettes
from models.clustering.profile import in_words, profile
from models.clustering.stability import bootstrap_jaccard, jaccard
from pipelines.lab.bench.result import BenchResult, peak_rss_mb
from pipelines.lab.bench.rossmann_stores import KINDS, read_profiles

Floats = NDArray[np.float64]

DRAWS = 100


def run(data: Path, *, say: Callable[[str], None] = lambda line: None, draws: int = DRAWS) -> BenchResult:
    """Group the stores, measure silhouette and stability, and describe the groups.

    ``seconds`` is the time to fit, from the table of profiles to the groups; reading the sales and the resampling
    are told apart. The silhouette is the mean over stores, of Gower dissimilarities. ``peers`` is what a
    notebook would do: k-means on standardised numbers and indicators of the categories, gaps filled with
    means, as many groups; judged by the same dissimilarities and resampling.

    Parameters
    ----------
    data
        The folder with train.csv.gz and store.csv.
    draws
        Samples of the stores, for the stability of the groups.
    """
    clock = time.perf_counter()
    profiles = read_profiles(data)
    reading = time.perf_counter() - clock
    say(f"{len(profiles):,} stores, {len(KINDS)} variables, read in {reading:.1f} s")
    StoreClustering(KINDS).fit(profiles.head(50))  # loads the compiled loop
    clock, used = time.perf_counter(), time.process_time()
    model = StoreClustering(KINDS).fit(profiles)
    seconds, processor = time.perf_counter() - clock, time.process_time() - used
    say(f"{model.n_clusters_} groups, silhouette {model.silhouette_:.3f}, in {seconds:.1f} s")
    clock = time.perf_counter()
    stability = bootstrap_jaccard(model, draws)
    resampling = time.perf_counter() - clock
    say(f"Jaccard index over {draws} draws: {stability['jaccard'].min():.2f} and more")
    for cluster, words in in_words(profile(profiles, model.labels_, KINDS)).items():
        say(f"{cluster} ({stability['size'][cluster]} stores): {words}")
    curve = model.choice_
    metrics = {
        "stores": len(profiles),
        "variables": len(KINDS),
        "missing_values": int(profiles.isna().to_numpy().sum()),
        "n_clusters": model.n_clusters_,
        "sizes": stability["size"].to_list(),
        "silhouette": model.silhouette_,
        "stability": float(np.average(stability["jaccard"], weights=stability["size"])),
        "stability_by_cluster": stability["jaccard"].to_list(),
        "stable_clusters": int((stability["verdict"] == "stable").sum()),
        "axes": len(model.explained_),
        "explained": float(model.explained_.sum()),
        "within_share_before_consolidation": model.inertia_before_consolidation_,
        "within_share_after_consolidation": model.inertia_after_consolidation_,
        "silhouette_by_n_clusters": dict(zip(curve["n_clusters"], curve["silhouette"], strict=True)),
        "inertia_gain_by_n_clusters": dict(zip(curve["n_clusters"], curve["inertia_gain"], strict=True)),
        "seconds_read": round(reading, 3),
        "seconds_stability": round(resampling, 3),
        "cpu_seconds": round(processor, 3),
    }
    peers = {"kmeans_one_hot": _notebook(profiles, model, draws)}
    return BenchResult("clusters", metrics, round(seconds, 3), round(peak_rss_mb(), 1), peers)


def _notebook(profiles: pd.DataFrame, model: StoreClustering, draws: int) -> dict[str, Any]:
    """K-means on indicators, by the measures of the other."""
    table = pd.get_dummies(profiles, columns=["store_type"], dtype=np.float64)
    table = (table - table.mean()) / table.std()
    values, groups = table.fillna(0.0).to_numpy(np.float64), model.n_clusters_
    rng = np.random.default_rng(0)
    with threadpool_limits(1):
        clock = time.perf_counter()
        labels = _kmeans(values, groups)
        seconds = time.perf_counter() - clock
        found = np.empty((draws, groups))
        for draw in range(draws):
            rows = np.unique(rng.integers(0, len(values), len(values)))
            found[draw] = jaccard(labels[rows], _kmeans(values[rows], groups), groups).max(axis=1)
    sizes = np.bincount(labels, minlength=groups)
    return {
        "n_clusters": groups,
        "silhouette": float(silhouettes(model.dissimilarity(), labels).mean()),
        "stability": float(np.average(found.mean(axis=0), weights=sizes)),
        "stability_by_cluster": found.mean(axis=0).tolist(),
        "seconds": round(seconds, 3),
    }


def _kmeans(values: Floats, groups: int) -> NDArray[np.intp]:
    return np.asarray(KMeans(groups, n_init=10, random_state=0).fit(values).labels_, dtype=np.intp)
