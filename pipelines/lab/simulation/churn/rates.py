"""The constants of the simulated world, calibrated together.

Weekly probabilities unless stated otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rates:
    """Rates of the causal model; the defaults give 4.2 % churn in 30 days.

    Attributes
    ----------
    warm_up_weeks
        Weeks simulated before the first delivered day, so that latent states are settled.
    weekly_signups, initial_share
        New customers a week (trials that never convert excluded) and customers at the beginning
        of the warm-up, as shares of the wanted base.
    annual_share
        Share of annual contracts among the customers at the beginning and among new ones; they
        stay longer, so that their share among all is higher than among new ones.
    notice_days
        Days between the decision to leave and the end of the last term, at least.
    near_days, timing
        Days (annual, monthly terms) before the last day to give notice in which customers think
        about it, and factors on decisions to leave (then, otherwise) for monthly and annual terms.
    """

    warm_up_weeks: int = 52
    weekly_signups: float = 0.0089
    initial_share: float = 0.985
    trial_share: float = 0.60
    trial_conversion: float = 0.55
    trial_days: int = 14
    annual_share: tuple[float, float] = (0.15, 0.065)

    # Relationship: hazards at a neutral customer, multiplied by exp(x).
    onboarded: float = 0.14
    onboarding_drift: float = 0.012
    onboarding_leave: float = 0.0043
    drift: float = 0.0126
    leave_at_once: float = 0.0019
    drift_leave: float = 0.13
    drift_heal: float = 0.12
    rescue: float = 0.008
    closure: float = 0.0005
    annual_calm: float = 0.55
    frailty_sd: float = 0.25

    # Engagement: log of use relative to the customer's habit.
    drift_slope: float = 0.07
    leave_slope: tuple[float, float] = (0.31, 0.51)
    recovery: float = 0.35
    noise_sd: float = 0.06
    noise_memory: float = 0.6
    pause: float = 0.0012

    # Money.
    cash_enter: float = 0.0015
    cash_leave: float = 0.08

    # Renewal: probability to refuse, by state, monthly and annual terms.
    notice_days: int = 35
    near_days: tuple[int, int] = (42, 14)
    timing: tuple[tuple[float, float], tuple[float, float]] = ((1.9, 0.25), (6.0, 0.10))
    review_days: tuple[int, int] = (5, 30)
    refuse_healthy: tuple[float, float] = (0.0036, 0.05)
    refuse_onboarding: tuple[float, float] = (0.008, 0.06)
    refuse_drifting: tuple[float, float] = (0.015, 0.15)
    refuse_young_leaver: tuple[float, float] = (0.02, 0.20)
    refuse_leaver: float = 0.975
    refuse_closed: float = 0.995
    refuse_cash: float = 0.12
    late: float = 0.012
    late_cash: float = 0.15
    late_days: int = 20
    reactivation: float = 0.07

    # Support.
    tickets: float = 0.052
    tickets_onboarding: float = 1.9
    tickets_drifting: float = 3.0
    tickets_leaving: float = 0.44
    incidents: float = 0.12
    incident_reach: float = 0.10


RATES = Rates()
