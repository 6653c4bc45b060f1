"""Simulation of an online grocer: households that run out of things.

Nobody here draws a basket from a probability table. A household has a *repertoire*: products that it goes
through at a pace of its own. Every order refills what has run low since it was last bought::

    people, taste --> repertoire: product, days a pack lasts, loyalty,     season of the department
                      taken up on, given up on (habits drift)                      |
                                 |                                                 |
    order: day, hour <-----------+--- days since last bought / days it lasts <-----'
       |  (own rhythm, weekday,              |
       |   season, holidays away,            v
       |   how full the last one was)   bought again, if low enough and loyal enough
       |                                     + things tried for once
       '--------------------------------> basket, in the order in which things come to mind

- *Rhythm.* Households order every few days to every few months, with more or less regularity, mostly on a
  weekday and at an hour of theirs; the rhythm changes slowly, a small basket brings the next order forward,
  and August empties the town.
- *Drift.* A third of a repertoire is taken up in the course of time, and things are given up again; other things are
  tried once and stay out.
- *Leaving.* Households join all along, and leave without saying so.

Orders are known a few minutes after they were placed, some lines and orders days later. The simulation goes
on for sixty days after the delivery ends; what came next is kept aside with the households and repertoires
(:mod:`~pipelines.lab.simulation.repurchase.truth`).
"""

from pipelines.lab.simulation.repurchase.delivery import (
    DEFAULT_END,
    DEFAULT_START,
    GenerateReport,
    generate,
)

__all__ = ["DEFAULT_END", "DEFAULT_START", "GenerateReport", "generate"]
