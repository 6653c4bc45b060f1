"""Prophet on one series: holidays, promotions and what else is known ahead; no file left behind."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Stan's optimiser is stopped after so many seconds.
TIMEOUT_SECONDS = 30.0


@lru_cache(1)
def _library() -> Any:
    """Prophet, quiet, with an optimiser whose files live in a folder of each fit's own.

    CmdStan talks through files. By default they are in one folder per Python process, whose forks share
    it, and stay until that process ends normally; over ten thousand fits that fills a disk.
    """
    import prophet
    from cmdstanpy.utils import get_logger, write_stan_json
    from prophet.models import CmdStanPyBackend

    for logger in (get_logger(), logging.getLogger("prophet")):
        logger.setLevel(logging.CRITICAL)  # what fails is raised, and reported as the series' reason

    class OwnFolder(CmdStanPyBackend):
        def fit(self, stan_init: dict[str, Any], stan_data: dict[str, Any], **kwargs: Any) -> Any:
            inits, data = self.prepare_data(stan_init, stan_data)
            with tempfile.TemporaryDirectory(prefix="millrace-prophet-") as folder:
                files = {"inits": str(Path(folder) / "inits.json"), "data": str(Path(folder) / "data.json")}
                write_stan_json(files["inits"], inits)
                write_stan_json(files["data"], data)
                options: dict[str, Any] = {
                    **files,
                    "output_dir": folder,
                    "iter": 10_000,
                    "seed": 1,
                    "timeout": TIMEOUT_SECONDS,
                }
                if stan_data["T"] < 100:
                    result = self.model.optimize(algorithm="Newton", **options)
                else:
                    try:
                        result = self.model.optimize(algorithm="LBFGS", **options)
                    except RuntimeError:  # its line search failed; slower, Newton's method mostly does not
                        result = self.model.optimize(algorithm="Newton", **options)
                found = self.stan_to_dict_numpy(result.column_names, result.optimized_params_np)
            return {name: values.reshape((1, -1)) for name, values in found.items()}

    return prophet.Prophet, OwnFolder()


def prophet_forecast(
    values: Floats,
    days: NDArray[np.datetime64],
    regressors: Mapping[str, Floats],
) -> Floats:
    """Trend, weekly and yearly season, and multiplicative effects of the regressors.

    Parameters
    ----------
    values : ndarray of shape (T,)
        Demand; NaN are gaps.
    days : ndarray of datetime64[D], shape (T + H,)
        Days of the history and those to forecast.
    regressors : mapping of str to ndarray of shape (T + H,)
        What is known of all days. Constant ones are left out.

    Returns
    -------
    ndarray of shape (H,)

    Raises
    ------
    RuntimeError, TimeoutError
        Stan's optimiser failed or took too long.
    """
    create, backend = _library()
    length = len(values)
    known = np.isfinite(values)
    frame = pd.DataFrame({"ds": pd.to_datetime(days)})
    model = create(
        growth="linear",
        n_changepoints=15,
        seasonality_mode="multiplicative",
        weekly_seasonality=3,
        yearly_seasonality=3 if length >= 365 else 0,
        daily_seasonality=0,
        uncertainty_samples=0,
    )
    model.stan_backend = backend
    for name, column in regressors.items():
        if np.ptp(column[:length][known]) > 0:
            model.add_regressor(name, mode="multiplicative", standardize="auto")
            frame[name] = column
    history = frame.iloc[:length].assign(y=values)[known]
    model.fit(history)
    return np.asarray(model.predict(frame.iloc[length:])["yhat"], dtype=np.float64)
