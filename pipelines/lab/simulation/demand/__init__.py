"""Causal simulation of a chain of food shops.

Nobody here draws a forecastable series and adds noise. Shoppers want units of a product in a store on
a day, and what the tills report is what was left of that wish::

    calendar, school zones --.                                        planners' forecasts, suppliers
    weather by region -------+--> season of the category                        |
    visitors, neighbours, ---+--> traffic of the store                       deliveries
    local events             |                                                  |
    product: attributes, ----+--> expected demand --> demand --> sold = min(demand, stock) --> sales
    launch, price, drift     |    (mean given all)    (units)          |                       rows,
    promotions: own, shelf's-'                                     stock-out flag              some late
    and category's, the weeks after

- *Stores* differ in size, format and clientele: places with summer or winter visitors, residential
  ones that empty in the school holidays. Some open, close, are renewed or flooded within the span.
- *Products* come and go, a sixth of the range every year; how well one sells follows mostly from its
  attributes, so that a new one resembles those like it. Assortments differ by store: a core of fast
  products (about a hundred units a day, with little noise beyond counting), a long tail that sells
  once in three weeks. Their depth is chosen such that the wanted number of sales rows comes out.
- *Promotions* are announced one to twelve weeks ahead, some changed or cancelled after that. They
  sell more by mechanic and depth, take from the shelf's other products and from the weeks after,
  and bring some people to the category. A fifth of the products lives on them.
- *Stocks* follow from buyers' errors; what an empty shelf did not sell is seen nowhere but in the
  truth. *Weather forecasts* are issued every evening for seven days and close in on what happens.

Mean and noise are exact: units are negative binomial around ``expected``, with one surprise per
store and day. The truth (:mod:`~pipelines.lab.simulation.demand.truth`) goes on for twenty days
after the delivery ends, so that forecasts can be judged by the demand itself and by the error that
even a forecaster who knows everything would make.
"""

from pipelines.lab.simulation.demand.delivery import (
    DEFAULT_END,
    DEFAULT_START,
    GenerateReport,
    generate,
)

__all__ = ["DEFAULT_END", "DEFAULT_START", "GenerateReport", "generate"]
