"""Weather by region: what happened, and what was forecast."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from pipelines.lab.simulation.days import DAY_US, Ints
from pipelines.lab.simulation.demand.regions import Region
from pipelines.lab.simulation.demand.span import Singles, Span

#: A forecast is issued in the evening for the seven days that follow.
LEADS = np.arange(1, 8)
_ISSUED_US = 18 * 3_600_000_000
_MEASURED_US = 23 * 3_600_000_000

_MEMORY, _SPREAD_C = 0.8, 3.4
#: Standard deviation (deg C) that each further day of lead adds to the error of a forecast.
_ERROR_C = np.array([0.9, 0.5, 0.7, 0.8, 1.0, 1.1, 1.2])


@dataclass(frozen=True)
class Weather:
    """Weather of ``R`` regions over ``T`` days and what was forecast of it.

    Attributes
    ----------
    usual_c, high_c, rain_mm
        Usual and actual daily high and precipitation, shape ``(R, T)``.
    forecast_c, forecast_mm
        Forecasts by lead, shape ``(R, T, 7)``: of the day itself, issued ``LEADS`` days before.
    """

    usual_c: Singles
    high_c: Singles
    rain_mm: Singles
    forecast_c: Singles
    forecast_mm: Singles


def draw_weather(rng: np.random.Generator, regions: tuple[Region, ...], span: Span) -> Weather:
    """Draw the weather; spells last some days, and neighbours share most of them."""
    count, days = len(regions), len(span)
    warmth, swing, rainy = (
        np.array([getattr(region, name) for region in regions], dtype=np.float32)[:, None]
        for name in ("warmth_c", "swing_c", "rainy")
    )
    usual = warmth + swing * span.wave(date(2023, 7, 20))
    nation, own = rng.standard_normal((1, days)), rng.standard_normal((count, days))
    anomaly = _SPREAD_C * _spells(0.8 * nation + 0.6 * own)
    wetness = _spells(0.75 * rng.standard_normal((1, days)) + 0.66 * rng.standard_normal((count, days)), 0.5)
    # Rain falls on the wettest share of the days, more the wetter; it cools, most in summer.
    threshold = np.quantile(wetness, 1 - rainy.ravel(), axis=1).diagonal()[:, None]
    rain = np.where(wetness > threshold, 7.0 * np.maximum(wetness - threshold, 0) ** 1.3 + 0.2, 0.0)
    high = usual + anomaly - 0.12 * np.minimum(rain, 15)

    # Revisions of a forecast add up from the day itself backwards, so that it closes in on the truth.
    error = np.cumsum(_ERROR_C * rng.standard_normal((count, days, len(LEADS))), axis=2)
    sharpness = np.exp(-LEADS / 5.0)
    guess = sharpness * rain[:, :, None] + (1 - sharpness) * rain.mean(axis=1)[:, None, None]
    rain_forecast = guess * np.exp(0.25 * np.sqrt(LEADS) * rng.standard_normal(error.shape))
    return Weather(
        usual.astype(np.float32),
        high.round(1).astype(np.float32),
        rain.round(1).astype(np.float32),
        (high[:, :, None] + error).round(1).astype(np.float32),
        rain_forecast.round(1).astype(np.float32),
    )


def _spells(shocks: np.ndarray[tuple[int, int], np.dtype[np.float64]], memory: float = _MEMORY) -> Singles:
    """First-order autoregression of unit variance along the days."""
    out = np.empty(shocks.shape, dtype=np.float32)
    state = shocks[:, 0]
    out[:, 0] = state
    fresh = np.sqrt(1 - memory**2)
    for day in range(1, shocks.shape[1]):
        state = memory * state + fresh * shocks[:, day]
        out[:, day] = state
    return out


def observed_table(weather: Weather, regions: tuple[Region, ...], span: Span) -> pa.Table:
    """Measurements from the first delivered day to the eve of the extraction."""
    first, last = span.start - span.begin, span.end - span.begin
    days = span.days[first:last]
    return pa.table(
        {
            "region": np.repeat([region.name for region in regions], len(days)),
            "observed_on": _dates(np.tile(days, len(regions))),
            "temperature_c": weather.high_c[:, first:last].ravel().astype(np.float64).round(1),
            "rain_mm": weather.rain_mm[:, first:last].ravel().astype(np.float64).round(1),
            "known_at": _moments(np.tile(days, len(regions)) * DAY_US + _MEASURED_US),
        }
    )


def forecasts_table(weather: Weather, regions: tuple[Region, ...], span: Span) -> pa.Table:
    """Forecasts issued from the eve of the first delivered day on."""
    issued = np.arange(span.start - 1, span.end)
    valid = issued[:, None] + LEADS
    region = np.arange(len(regions))[:, None, None]
    leads = np.broadcast_to(LEADS - 1, valid.shape)
    picked = (region, (valid - span.begin)[None], leads[None])
    shape = (len(regions), *valid.shape)
    return pa.table(
        {
            "region": np.repeat([region.name for region in regions], valid.size),
            "issued_at": _moments(
                np.broadcast_to(issued[None, :, None], shape).ravel() * DAY_US + _ISSUED_US
            ),
            "valid_on": _dates(np.broadcast_to(valid, shape).ravel()),
            "temperature_c": weather.forecast_c[picked].ravel().astype(np.float64).round(1),
            "rain_mm": weather.forecast_mm[picked].ravel().astype(np.float64).round(1),
        }
    )


def _dates(days: Ints) -> pa.Array:
    return pa.array(days.astype("datetime64[D]"))


def _moments(microseconds: Ints) -> pa.Array:
    return pa.array(microseconds.astype("datetime64[us]"))
