"""Simulation of a factory whose measurements are incomplete for known reasons.

Each line has latent factors (wear, temperature, material) that drift from part to part; what the sensors of
its stations read are traces of them, on the scale that suits the quantity. Then cells go missing, by five
mechanisms that are kept apart in the truth::

    random      a reading is lost, whatever it was                      missing completely at random
    drop_out    a station is down for hours: all its sensors            missing at random, in runs
    sampling    a costly station measures parts that an earlier
                station found unremarkable less often                   missing at random
    limit       a particle count lies below what the counter can tell   not at random; the limit is told
    own_value   a sensor fails the more often, the higher its value     not at random; nothing is told

The complete values are kept aside in ``truth/``: what was imputed can be held against them.
"""

from pipelines.lab.simulation.imputation.delivery import DEFAULT_END, GenerateReport, generate

__all__ = ["DEFAULT_END", "GenerateReport", "generate"]
