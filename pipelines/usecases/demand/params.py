"""Parameters of the demand use case, read from ``params.yaml`` beside this file, and the days that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from features.spine import past_origins
from pipelines.errors import ConfigError, DataContractError
from pipelines.params import Params
from pipelines.sinks.target import DynamoParams

#: Days of sales before an origin from which something can be learnt.
LEAST_PAST_DAYS = 28


class FeatureParams(Params):
    """What the feature models are asked for; reaches the SQL as the table ``run.parameters``."""

    history_days: int = Field(ge=56, description="Days of history in the panel.")
    active_days: int = Field(ge=14, description="A series not sold for longer is out of scope.")
    new_days: int = Field(ge=28, description="History below which a product is new.")
    short_days: int = Field(ge=1, description="Known days below which a series is not described.")
    weather_days: int = Field(ge=0, description="Days ahead for which weather forecasts are used.")
    climatology_days: int = Field(
        ge=0, description="Days either side that the climate of a day is a mean of."
    )
    promo_share_min: float = Field(ge=0, le=1, description="Share of the volume that makes a promo series.")
    promo_uplift_min: float = Field(ge=0, description="Sales in promotion over sales without, at least.")
    weekly_strength_min: float = Field(ge=0, le=1, description="Strength of the week of a seasonal series.")
    yearly_strength_min: float = Field(ge=0, le=1, description="Strength of the year of a seasonal series.")
    intermittent_adi: float = Field(
        gt=1, description="Days per day with sales from which it is intermittent."
    )
    erratic_cv2: float = Field(gt=0, description="Squared coefficient of variation of erratic sales.")
    clientele_days: int = Field(
        ge=1, description="Fewest days in and out of school holidays to tell who shops."
    )
    tourist_ratio: float = Field(
        gt=1, description="Gain in school holidays from which a store is of tourists."
    )
    residential_ratio: float = Field(gt=0, lt=1, description="The same, up to which it is of residents.")


class BacktestParams(Params):
    """Rolling origins of a training run, and how models compete on them."""

    training_weeks: int = Field(ge=2, description="Weekly origins the global models learn from.")
    selection_origins: int = Field(ge=1, description="Origins that choose champions, calibrate intervals.")
    judging_origins: int = Field(ge=1, description="Newest origins, kept for the gate.")
    spacing_days: int = Field(ge=1, description="Days between origins.")
    local_series: int = Field(ge=5, description="Series per cell on which models fitted one by one compete.")
    default: str = Field(description="Global model that serves where no other is surely better.")
    confidence: float = Field(
        gt=0.5, lt=1, description="Share of the draws of series in which another must be better."
    )
    pinned: Mapping[str, str] = Field(
        default_factory=dict, description="Model that serves a segment whatever the others' errors."
    )
    max_seconds_per_series: float = Field(gt=0, description="A dearer model cannot be champion.")


class BoostingParams(Params):
    """Global models."""

    max_rows: int = Field(ge=1000, description="Rows of the deterministic sample of the stack.")
    other_rows: int = Field(ge=1000, description="Of them, rows of global models that are not the default.")
    rounds: int = Field(ge=10)
    learning_rate: float = Field(gt=0, le=1)


class GateParams(Params):
    """What a challenger must show before it may serve."""

    min_products: int = Field(ge=1, description="Products judged below which nothing is decided.")
    max_bias: float = Field(gt=0, description="Largest bias as a share of the sales, either way.")
    min_coverage_80: float = Field(ge=0, le=1)
    max_coverage_80: float = Field(ge=0, le=1)
    bootstrap_replicates: int = Field(ge=100)
    confidence: float = Field(gt=0.5, lt=1)


class TargetParams(Params):
    """MAPE at J+7 by segment that users were promised."""

    stable: float = Field(gt=0)
    seasonal: float = Field(gt=0)
    new: float = Field(gt=0)
    promo: float = Field(gt=0)


class DemandMonitoringParams(Params):
    """Bounds beyond which an alarm is raised."""

    min_units: float = Field(ge=0, description="Targets concern series that sell so many units a day.")
    max_bias: float = Field(gt=0)
    min_coverage_80: float = Field(ge=0, le=1)
    max_coverage_80: float = Field(ge=0, le=1)
    max_volume_change: float = Field(gt=0, description="Change of the forecast total against yesterday's.")


class CrossedParams(Params):
    """Forecasts of categories and products by region."""

    max_series: int = Field(
        ge=0, description="Series of all crossed levels above which they are plain sums; 0 for always."
    )


class DemandParams(Params):
    """All parameters of the demand use case."""

    horizon_days: int = Field(ge=1, le=90)
    features: FeatureParams
    backtest: BacktestParams
    boosting: BoostingParams
    gate: GateParams
    engine: Literal["local", "spark"]
    workers: int = Field(ge=1, description="Processes of the local engine.")
    spark_master: str = Field(description="Spark's master: `local[*]`, `spark://host:port`, `yarn`.")
    publish: DynamoParams
    targets: TargetParams
    monitoring: DemandMonitoringParams
    crossed: CrossedParams
    max_total_change: float = Field(
        gt=0, description="Share by which the forecast total may differ from the last day's to be committed."
    )
    panel_versions: int = Field(ge=1, description="Days of `features/demand_panel` kept.")
    seed: int = 0

    @model_validator(mode="after")
    def _outlives_its_forecasts(self) -> Self:
        days, horizon = self.publish.retention_days, self.horizon_days
        if days < horizon:
            raise ValueError(
                f"publish.retention_days must be at least horizon_days ({horizon}), got {days}: a version would "
                "expire before its last day, also while no newer one has come"
            )
        return self

    @property
    def engine_options(self) -> dict[str, Any]:
        """Options of the engine that the models fitted one series at a time run in."""
        return {"workers": self.workers} if self.engine == "local" else {"master": self.spark_master}

    @property
    def sql(self) -> dict[str, float]:
        """Numbers that the feature models read, by the names they have there."""
        return {**self.features.model_dump(), "horizon_days": self.horizon_days}

    def origins(self, as_of: date) -> list[date]:
        """Past days from which a training run forecasts, oldest first."""
        backtest = self.backtest
        return past_origins(
            as_of,
            origins=backtest.training_weeks + backtest.selection_origins + backtest.judging_origins,
            spacing_days=backtest.spacing_days,
            horizon_days=self.horizon_days,
        )


@dataclass(frozen=True)
class Origins:
    """Past days to forecast from, each list oldest first."""

    training: list[date]
    selection: list[date]
    judging: list[date]

    @property
    def all(self) -> list[date]:
        """Every day of the three, oldest first."""
        return [*self.training, *self.selection, *self.judging]

    def known_from(self, first: date) -> Origins:
        """The same without days that have hardly a past, where sales are known from ``first`` on.

        Raises ``DataContractError`` if none is left to learn from.
        """
        learning = [day for day in self.training if (day - first).days >= LEAST_PAST_DAYS]
        if not learning:
            needed = (self.training[-1] - first).days - LEAST_PAST_DAYS
            raise DataContractError(
                f"sales are known from {first} on, {-needed} days too short a past to learn, compete and judge: land "
                "older sales, or lower backtest.selection_origins, judging_origins or spacing_days"
            )
        return replace(self, training=learning)

    @classmethod
    def of(cls, as_of: date, params: DemandParams) -> Origins:
        """Divide the past days that the parameters ask for.

        No target day belongs to two parts: what the models learned from is over before they compete, and
        that before they are judged.
        """
        days, backtest = params.origins(as_of), params.backtest

        def before(limit: date) -> list[date]:
            """Origins whose targets are all over when the forecast of ``limit`` begins."""
            return [day for day in days if (limit - day).days > params.horizon_days]

        judging = days[len(days) - backtest.judging_origins :]
        selection = before(judging[0])[-backtest.selection_origins :]
        learning = before(selection[0]) if selection else []
        if not learning:
            raise ConfigError(
                f"{len(days)} origins leave none to learn from: targets must not overlap between learning, "
                "competition and judgement; raise backtest.training_weeks"
            )
        return cls(learning, selection, judging)
