"""Causal simulation of a B2B SaaS for small and medium companies.

Nothing here draws a label from features. Latent causes move week by week, the tables that source
systems deliver are their traces, and churn is what happens when a contract term comes up for
renewal::

    product incidents --> tickets --> ticket quality --> satisfaction --.
    fit of the product, frailty ----------------------------------------+--> relationship state
    cash stress --------------------------------------------------------'    onboarding, healthy,
        |                                                                    drifting, leaving, closed
        |                                                                          |
        |        .-----------------------------------------------------------------+
        |        |                       |                    |                    |
        v        v                       v                    v                    v
      invoices (late,            usage (level, breadth)   more tickets,     renewal decision
      failed, disputed)          x season x size          lower CSAT        x contract calendar
        |                                                                   x cash stress
        '------------------------------------------------------------------> x year end
                                                                                   |
                                          renewed (in time, late, up- or downgraded) or churned
                                                                  --> maybe reactivated later

Relationship states form a Markov chain with weekly steps. An account that decides to leave
migrates away over some weeks (usage decays, tickets come in) and leaves at the first term end that
its notice period allows; a closed company stops at once; others refuse a renewal with little
warning. An annual customer who has decided in March may therefore stay, unused, until November.

The true risk of churn within 30 days given the latent state is known in closed form
(:mod:`~pipelines.lab.simulation.churn.truth`) and is kept aside in ``truth/``.
"""

from pipelines.lab.simulation.churn.delivery import (
    DEFAULT_END,
    DEFAULT_START,
    GenerateReport,
    generate,
)

__all__ = ["DEFAULT_END", "DEFAULT_START", "GenerateReport", "generate"]
