"""Regions with their school zone and climate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Region:
    """A region of France.

    Attributes
    ----------
    zone
        Zone of the staggered winter and spring holidays of schools.
    warmth_c, swing_c
        Yearly mean of the daily high, and how far July is above it.
    rainy
        Share of days with rain.
    season
        When visitors come, if they do: ``summer`` or ``winter``.
    two_more_holidays
        Whether Good Friday and 26 December are holidays, as in Alsace and Moselle.
    """

    name: str
    zone: str
    warmth_c: float
    swing_c: float
    rainy: float
    season: str | None = None
    two_more_holidays: bool = False


#: Ordered so that the first few differ.
REGIONS: tuple[Region, ...] = (
    Region("Ile-de-France", "C", 16.2, 9.6, 0.42),
    Region("Provence-Alpes-Cote d'Azur", "B", 20.3, 8.8, 0.21, season="summer"),
    Region("Auvergne-Rhone-Alpes", "A", 16.6, 10.4, 0.36, season="winter"),
    Region("Bretagne", "B", 15.6, 6.8, 0.48, season="summer"),
    Region("Grand Est", "B", 15.1, 10.6, 0.43, two_more_holidays=True),
    Region("Occitanie", "C", 19.0, 9.2, 0.27, season="summer"),
    Region("Nouvelle-Aquitaine", "A", 18.1, 8.4, 0.38, season="summer"),
    Region("Hauts-de-France", "B", 14.9, 8.7, 0.46),
    Region("Pays de la Loire", "B", 16.9, 8.1, 0.41, season="summer"),
    Region("Normandie", "B", 15.0, 7.6, 0.47, season="summer"),
    Region("Bourgogne-Franche-Comte", "A", 15.8, 10.3, 0.41),
    Region("Centre-Val de Loire", "B", 16.6, 9.4, 0.40),
)
