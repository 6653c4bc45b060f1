"""Everything that the series of a chain share: its stores, products, calendar, weather and promotions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.lab.simulation.days import Floats, Ints
from pipelines.lab.simulation.demand.categories import CATEGORIES
from pipelines.lab.simulation.demand.events import (
    Happenings,
    draw_closures,
    draw_occasions,
    opening_days,
)
from pipelines.lab.simulation.demand.products import Products, draw_products, trends
from pipelines.lab.simulation.demand.promotions import Promotions, draw_promotions
from pipelines.lab.simulation.demand.season import Season, season_of
from pipelines.lab.simulation.demand.span import Singles, Span
from pipelines.lab.simulation.demand.stores import Stores, Traffic, draw_stores, draw_traffic
from pipelines.lab.simulation.demand.weather import Weather, draw_weather

_STORES, _WEATHER, _EVENTS, _TRAFFIC, _PRODUCTS, _PROMOTIONS, _TRENDS = range(7)


@dataclass(frozen=True)
class World:
    """What moves the demand of all series.

    Attributes
    ----------
    open
        Days on which each store trades, shape ``(S, T)``.
    trend
        Drift of the popularity of products by week, shape ``(K, weeks)``.
    """

    span: Span
    stores: Stores
    products: Products
    weather: Weather
    season: Season
    occasions: Happenings
    closures: Happenings
    traffic: Traffic
    promotions: Promotions
    open: NDArray[np.bool_]
    trend: Singles

    def calendar_effect(self, store: Ints, product: Ints, columns: Ints | slice) -> Singles:
        """Addition to the log demand of series by calendar, weather and traffic, shape ``(n, days)``."""
        category = self.products.category[product]
        weekday = self.span.weekday[columns]
        effect = self.season.effect[self.stores.region[store], category][:, columns]
        effect += self.traffic.neighbours[store][:, columns]
        effect += _of("tourism", category) * self.traffic.visitors[store][:, columns]
        week = _of("weekly", category) * self.traffic.weekday[store]
        week[:, 4:6] += _of("weekend", category)
        effect += week[:, weekday]
        return effect


def _of(name: str, category: Ints) -> Singles:
    """Attribute of the categories of series as a column."""
    return np.array([getattr(c, name) for c in CATEGORIES], dtype=np.float32)[category][:, None]


def draw_world(seed: int, stores: int, skus: int, span: Span, shares: Callable[[int, int], Floats]) -> World:
    """Draw what series share.

    Parameters
    ----------
    stores, skus
        Stores and products of the last day.
    shares
        Share of each speed among the products, given the days of trade and the number of stores.
    """

    def stream(number: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([seed, 0], spawn_key=(number,)))

    shops = draw_stores(stream(_STORES), stores, span)
    weather = draw_weather(stream(_WEATHER), shops.regions, span)
    season = season_of(shops.regions, span, weather)
    rng = stream(_EVENTS)
    occasions, closures = draw_occasions(rng, shops, span), draw_closures(rng, shops, span)
    trading = opening_days(shops, closures, span)
    delivered = trading[:, span.start - span.begin : span.end - span.begin]
    products = draw_products(stream(_PRODUCTS), skus, shares(int(delivered.sum()), len(shops)), span)
    return World(
        span=span,
        stores=shops,
        products=products,
        weather=weather,
        season=season,
        occasions=occasions,
        closures=closures,
        traffic=draw_traffic(stream(_TRAFFIC), shops, season, occasions.effect(len(shops), span), span),
        promotions=draw_promotions(stream(_PROMOTIONS), products, shops, span),
        open=trading,
        trend=trends(stream(_TRENDS), products, span),
    )
