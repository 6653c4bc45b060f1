"""The shelves of a food shop, and what moves them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Category:
    """How a category sells; effects are additions to the logarithm of the demand.

    Attributes
    ----------
    subcategories
        Names of the finer shelves.
    unit, content, price_eur
        Unit of a pack's content, its usual content, its usual price.
    weekly
        How far the category follows the shop's traffic within the week, 1 as much as it.
    weekend
        Extra on Friday and Saturday.
    summer
        Amplitude of the yearly wave that peaks in mid July; negative peaks in mid January.
    christmas, easter
        Height of the rise before the feast.
    heat, rain
        Effect of a day 5 degrees warmer than usual, and of a day with 10 mm of rain.
    promoted
        Share of the products that live on promotions.
    stockpiled
        How far a promotion takes from the weeks after it.
    tourism
        How far the category follows the visitors of a tourist place, 1 as much as they come.
    """

    name: str
    subcategories: tuple[str, ...]
    unit: str
    content: float
    price_eur: float
    weekly: float
    weekend: float = 0.0
    summer: float = 0.0
    christmas: float = 0.0
    easter: float = 0.0
    heat: float = 0.0
    rain: float = 0.0
    promoted: float = 0.15
    stockpiled: float = 0.15
    tourism: float = 1.0


CATEGORIES: tuple[Category, ...] = (
    Category("dairy", ("milk", "yoghurt", "butter", "cream"), "g", 500, 1.9, 0.15, promoted=0.10),
    Category("dry_grocery", ("pasta", "rice", "flour", "sugar"), "g", 500, 1.6, 0.10, stockpiled=0.35),
    Category("fruit_vegetables", ("tomatoes", "apples", "bananas", "potatoes", "lettuce"), "g", 1000, 2.4, 0.55,
             summer=0.10, heat=0.05, rain=-0.04, promoted=0.22, stockpiled=0.05, tourism=1.2),
    Category("soft_drinks", ("cola", "lemonade", "juice", "iced_tea"), "ml", 1500, 2.1, 0.45, summer=0.30,
             heat=0.16, rain=-0.05, promoted=0.32, stockpiled=0.40, tourism=1.3),
    Category("bakery", ("bread", "pastries", "brioche", "toast"), "g", 400, 2.2, 0.50, christmas=0.15,
             stockpiled=0.02, tourism=1.2),
    Category("hygiene", ("soap", "shampoo", "toothpaste", "tissues"), "pieces", 2, 3.4, 0.12, promoted=0.28,
             stockpiled=0.50, tourism=0.6),
    Category("meat_fish", ("beef", "poultry", "ham", "salmon"), "g", 350, 6.2, 0.85, weekend=0.10, christmas=0.30,
             promoted=0.25, stockpiled=0.10),
    Category("ice_cream", ("cones", "tubs", "sorbet"), "ml", 750, 4.3, 0.60, weekend=0.08, summer=0.75, heat=0.28,
             rain=-0.12, promoted=0.25, stockpiled=0.25, tourism=1.6),
    Category("coffee_tea", ("ground_coffee", "capsules", "tea"), "g", 250, 4.6, 0.10, summer=-0.10, promoted=0.25,
             stockpiled=0.45),
    Category("soups", ("broth", "veloute", "instant_soup"), "ml", 1000, 2.7, 0.25, summer=-0.60, heat=-0.14,
             rain=0.04, tourism=0.5),
    Category("biscuits", ("butter_biscuits", "cereal_bars", "waffles"), "g", 300, 2.3, 0.30, promoted=0.30,
             stockpiled=0.30, tourism=1.2),
    Category("beer_wine", ("lager", "craft_beer", "red_wine", "rose"), "ml", 750, 5.4, 1.00, weekend=0.28,
             summer=0.22, christmas=0.40, heat=0.12, promoted=0.25, stockpiled=0.35, tourism=1.6),
    Category("canned", ("beans", "tuna", "sweetcorn", "tomato_sauce"), "g", 400, 1.8, 0.10, stockpiled=0.40),
    Category("salads_barbecue", ("ready_salads", "sausages", "charcoal", "dips"), "g", 300, 3.3, 0.80,
             weekend=0.20, summer=0.60, heat=0.20, rain=-0.15, tourism=1.5),
    Category("household", ("detergent", "sponges", "bin_bags", "foil"), "pieces", 20, 4.1, 0.12, promoted=0.28,
             stockpiled=0.55, tourism=0.5),
    Category("chocolate", ("bars", "pralines", "spreads"), "g", 200, 2.9, 0.30, summer=-0.25, christmas=0.95,
             easter=0.80, heat=-0.06, promoted=0.25, stockpiled=0.25),
    Category("frozen", ("pizza", "vegetables", "fries", "fish_fingers"), "g", 600, 3.6, 0.40, promoted=0.25,
             stockpiled=0.35),
    Category("water", ("still", "sparkling"), "ml", 9000, 3.0, 0.35, summer=0.24, heat=0.14, stockpiled=0.30,
             tourism=1.5),
    Category("baby_pet", ("nappies", "baby_food", "cat_food", "dog_food"), "g", 800, 6.8, 0.10, stockpiled=0.35,
             tourism=0.4),
    Category("festive", ("foie_gras", "champagne", "smoked_salmon"), "g", 180, 14.0, 0.60, weekend=0.10,
             christmas=1.90, easter=0.35, promoted=0.20, tourism=1.1),
)  # fmt: skip
