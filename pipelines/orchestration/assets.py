"""The assets that connect the DAGs, partitioned by ``as_of``. DAG files import the constants."""

from __future__ import annotations

from airflow.sdk import Asset

CHURN_FEATURES = Asset(name="churn_features", uri="millrace://lake/features/churn")
CHURN_MODEL = Asset(name="churn_model", uri="millrace://registry/churn")
CHURN_SCORES = Asset(name="churn_scores", uri="millrace://lake/predictions/churn_scores")

DEMAND_MODEL = Asset(name="demand_model", uri="millrace://registry/demand")
DEMAND_FORECASTS = Asset(name="demand_forecasts", uri="millrace://lake/predictions/demand_forecasts")

STORE_FEATURES = Asset(name="store_features", uri="millrace://lake/features/clustering")
STORE_MODEL = Asset(name="store_model", uri="millrace://registry/clustering")
STORE_CLUSTERS = Asset(name="store_clusters", uri="millrace://lake/predictions/store_clusters")
#: Announced by `imputation_daily`, and by whoever lands measurements later, through Airflow's API: docs/imputation.md.
IMPUTATION_MEASUREMENTS = Asset(
    name="imputation_measurements", uri="millrace://lake/raw/imputation_measurements"
)
IMPUTATION_MODEL = Asset(name="imputation_model", uri="millrace://registry/imputation")
IMPUTATION_COMPLETED = Asset(
    name="imputation_completed", uri="millrace://lake/predictions/imputation_completed"
)
REPURCHASE_FEATURES = Asset(name="repurchase_features", uri="millrace://lake/features/repurchase_customers")
REPURCHASE_MODEL = Asset(name="repurchase_model", uri="millrace://registry/repurchase")
REPURCHASE_PREDICTIONS = Asset(
    name="repurchase_predictions", uri="millrace://lake/predictions/repurchase_next_order"
)
