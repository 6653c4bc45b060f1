"""Plausible names of companies that do not exist."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_FIRST = (
    "Alder", "Amber", "Argent", "Arbor", "Aster", "Beacon", "Birch", "Bluestone", "Bramble", "Brook",
    "Cardinal", "Cedar", "Cinder", "Clover", "Cobalt", "Copper", "Coral", "Crescent", "Delta", "Dune",
    "Elm", "Ember", "Fable", "Falcon", "Fern", "Flint", "Foxglove", "Garnet", "Glade", "Granite",
    "Harbour", "Hawthorn", "Hazel", "Heron", "Indigo", "Iris", "Ivory", "Jade", "Juniper", "Kestrel",
    "Lantern", "Larch", "Laurel", "Linden", "Lumen", "Maple", "Marble", "Meadow", "Meridian", "Mistral",
    "Nimbus", "North", "Oak", "Onyx", "Opal", "Orchard", "Osprey", "Pebble", "Pine", "Prairie",
    "Quarry", "Quartz", "Raven", "Ridge", "River", "Rowan", "Saffron", "Sage", "Sequoia", "Silver",
    "Slate", "Solstice", "Sparrow", "Spruce", "Summit", "Tamarin", "Tern", "Thistle", "Timber", "Topaz",
    "Umber", "Vale", "Velvet", "Verdant", "Vesper", "Violet", "Walnut", "Willow", "Wren", "Zephyr",
)  # fmt: skip
_SECOND = (
    "field", "ford", "gate", "haven", "hill", "house", "lake", "land", "mark", "mill", "mont", "point",
    "port", "side", "stead", "stone", "view", "ward", "way", "works", "wood", "worth", " & Sons", " Partners",
)  # fmt: skip
_TRADE = (
    "Bakery", "Builders", "Clinic", "Consulting", "Design", "Dental", "Electric", "Engineering", "Foods",
    "Freight", "Fashion", "Hotels", "Interiors", "Joinery", "Labs", "Legal", "Logistics", "Media", "Motors",
    "Optics", "Packaging", "Pharma", "Plastics", "Printing", "Retail", "Software", "Studio", "Supplies",
    "Textiles", "Tools", "Training", "Travel",
)  # fmt: skip
_FORM = ("SARL", "GmbH", "Ltd", "SL", "Srl", "BV", "SAS", "AB", "", "")


def company_names(rng: np.random.Generator, n: int) -> pa.Array:
    """Draw ``n`` names, not necessarily different: companies do share names."""
    parts = [pa.array(words).take(pa.array(rng.integers(0, len(words), n))) for words in _PARTS]
    name = pc.binary_join_element_wise(parts[0], parts[1], "")
    return pc.utf8_rtrim_whitespace(pc.binary_join_element_wise(name, parts[2], parts[3], " "))


_PARTS = (_FIRST, _SECOND, _TRADE, _FORM)
