"""Neighbours against a brute-force computation over all pairs of customers."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
import skops.io
from scipy import sparse
from sklearn.utils.estimator_checks import parametrize_with_checks

from models.recommendation.neighbours import NeighbourVotes, best_of
from models.recommendation.peers import ItemNeighbours, Popularity


@parametrize_with_checks([NeighbourVotes(k=3), Popularity(), ItemNeighbours()])
def test_scikit_learn_contract(estimator, check) -> None:
    check(estimator)


def holdings(n: int, p: int, seed: int) -> np.ndarray:
    """Holdings with popular and rare products, among them customers without any and many alike."""
    rng = np.random.default_rng(seed)
    return rng.random((n, p)) < np.linspace(0.7, 0.05, p)


def brute_force(H, R, k, *, jaccard: bool, newcomers: bool) -> np.ndarray:
    """The formula customer by customer; those at equal distance share the places that are left."""
    out = np.zeros(H.shape)
    for u, mine in enumerate(H):
        near = []
        for v, theirs in enumerate(H):
            shared = int((mine & theirs).sum())
            if v == u or not shared or (newcomers and not (theirs & ~mine).any()):
                continue
            norm = (mine | theirs).sum() if jaccard else np.sqrt(mine.sum() * theirs.sum())
            near.append((round(shared / norm, 10), v))
        left, top, bottom = float(k), np.zeros(H.shape[1]), 0.0
        for similarity, equal in groupby(sorted(near, reverse=True), key=lambda pair: pair[0]):
            alike = [v for _, v in equal]
            part = min(1.0, left / len(alike))
            top += part * similarity * R[alike].sum(axis=0)
            bottom += part * similarity * len(alike)
            left -= part * len(alike)
            if left <= 0:
                break
        out[u] = top / bottom if bottom else 0.0
    return out


@pytest.mark.parametrize("similarity", ["cosine", "jaccard"])
@pytest.mark.parametrize("newcomers", [True, False])
@pytest.mark.parametrize(("p", "k"), [(6, 7), (9, 40), (70, 5)])
def test_votes_are_those_of_the_formula(similarity: str, newcomers: bool, p: int, k: int) -> None:
    H = holdings(150, p, p)
    model = NeighbourVotes(k=k, similarity=similarity, newcomers=newcomers).fit(H)
    wanted = brute_force(H, H.astype(float), k, jaccard=similarity == "jaccard", newcomers=newcomers)
    np.testing.assert_allclose(model.votes(H, n_jobs=2), wanted, atol=1e-9)


def test_ratings_of_the_neighbours_take_the_place_of_their_holdings() -> None:
    rng = np.random.default_rng(3)
    H = np.unique(holdings(200, 9, 3), axis=0)  # all different: nobody shares a set with the one who asks
    R = rng.random(H.shape)
    wanted = brute_force(H, R, 11, jaccard=False, newcomers=True)
    np.testing.assert_allclose(NeighbourVotes(k=11).fit(H, ratings=R).votes(H), wanted, atol=1e-9)
    stored = NeighbourVotes(k=11).fit(H, ratings=sparse.csr_matrix(R)).votes(H)
    np.testing.assert_allclose(stored, wanted, atol=1e-9)


def test_nobody_is_recommended_what_they_hold_and_order_decides_nothing() -> None:
    H = holdings(400, 8, 4)
    model = NeighbourVotes(k=20).fit(H)
    found = model.recommend(H, top=3)
    for products, mine in zip(found.product, H, strict=True):
        assert not mine[products[products >= 0]].any()
        assert (products >= 0).sum() == min(3, (~mine).sum())
    turned = np.random.default_rng(5).permutation(len(H))
    again = NeighbourVotes(k=20).fit(H[turned]).recommend(sparse.csr_matrix(H[turned]), top=3)
    np.testing.assert_array_equal(again.product, found.product[turned])
    np.testing.assert_allclose(again.score, found.score[turned], atol=1e-12)


def test_equal_scores_go_to_what_more_customers_hold() -> None:
    scores = np.array([[0.5, 0.5, 0.5, 0.9], [0.0, 0.0, 0.0, 0.0]])
    held = np.array([[False, False, False, True], [True, True, True, False]])
    found = best_of(scores, held, 2, ties=np.array([0.1, 0.3, 0.1, 0.2]))
    np.testing.assert_array_equal(found.product, [[1, 0], [3, -1]])
    assert np.isnan(found.score[1, 1])
    wide = best_of(scores[:, :2], held[:, :2], 3, ties=np.zeros(2))
    np.testing.assert_array_equal(wide.product, [[0, 1, -1], [-1, -1, -1]])


def test_the_largest_group_can_still_be_recommended_something() -> None:
    """A thousand customers hold the same; their nearest neighbours are each other and have nothing to add."""
    H = np.zeros((1_020, 4), dtype=bool)
    H[:, 0] = True
    H[1_000:, 2] = True
    asked = H[:1]
    assert NeighbourVotes(k=50, newcomers=False).fit(H).votes(asked)[0, 2] == 0.0
    assert NeighbourVotes(k=50).fit(H).recommend(asked, top=1).product[0, 0] == 2


def test_it_is_stored_without_pickle() -> None:
    H = holdings(50, 5, 6)
    model = NeighbourVotes(k=5).fit(H)
    stored = skops.io.dumps(model)
    loaded = skops.io.loads(stored, trusted=skops.io.get_untrusted_types(data=stored))
    np.testing.assert_array_equal(loaded.votes(H), model.votes(H))


def test_parameters_out_of_range_are_refused() -> None:
    H = holdings(10, 3, 0)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        NeighbourVotes(k=0).fit(H)
    with pytest.raises(ValueError, match=r"similarity must be one of .* got 'euclid'"):
        NeighbourVotes(similarity="euclid").fit(H)
    with pytest.raises(ValueError, match=r"ratings must have the shape of X, got \(10, 2\) and \(10, 3\)"):
        NeighbourVotes().fit(H, ratings=np.ones((10, 2)))


def test_peers_rank_by_what_is_held() -> None:
    H = np.array([[1, 1, 0, 0], [1, 1, 0, 1], [1, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 1]])
    np.testing.assert_array_equal(Popularity().fit(H).recommend(H[3:], top=2).product, [[1, 3], [0, 2]])
    model = ItemNeighbours(k=2).fit(H)
    cosine = (H.T @ H) / np.sqrt(np.outer(H.sum(axis=0), H.sum(axis=0)))
    assert model.similarity_[0, 1] == pytest.approx(cosine[0, 1])
    assert (model.similarity_ > 0).sum(axis=1).max() <= 2
    np.testing.assert_array_equal(model.recommend(H[2:3], top=1).product, [[1]])
