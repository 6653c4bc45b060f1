"""Simulation of a bank: people with needs, and products that answer them.

Nobody here draws a list of products from a table. A person has needs (to pay, to save, to invest, to live somewhere,
to be protected, to borrow, to do business, to do it on a phone), and life changes them::

    segment --> needs ----------------+      age, income, cash at hand
                                      |         |
    births, moves, jobs, inheritances,+--> hazard of each product not held <-- what is held already
    retirement, own business          |         |                              (a mortgage wants an insurance)
        |                             |         v
        |            campaigns -------+     taken on a day of the month; later given up
        v
    traces: household, income, region, employment, balances -- some, and late

- *What the bank sees* are traces: needs, segments and events are kept aside, and answers to campaigns tell of needs.
- *Campaigns* go to some who do not hold a product, rarely to those who need it most, and raise the hazard of the two
  months that follow.
- *Chances.* At the end of the delivery the true chance of each product within the horizon is kept aside: what is to
  be expected given everything that is so on the day, over several futures
  (:mod:`~pipelines.lab.simulation.propensity.truth`). Nobody can rank better.
"""

from pipelines.lab.simulation.propensity.delivery import (
    DEFAULT_END,
    DEFAULT_START,
    HORIZON_DAYS,
    GenerateReport,
    generate,
)

__all__ = ["DEFAULT_END", "DEFAULT_START", "HORIZON_DAYS", "GenerateReport", "generate"]
