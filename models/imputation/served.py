"""The imputer as a model server takes it: with a method called predict."""

from __future__ import annotations

from typing import Any

from models.imputation.imputer import BootstrapEMImputer


class ServedImputer(BootstrapEMImputer):
    """:class:`~models.imputation.imputer.BootstrapEMImputer` for MLflow, which calls ``predict``."""

    def predict(self, X: Any) -> Any:
        """The table with each missing cell at its conditional mean, for a first look; see ``transform``."""
        return self.transform(X)
