"""Estimators and mathematics: no files, no registry, no orchestration.

Threads of LightGBM and scikit-learn sleep while they wait, instead of spinning. On a machine that has other work, a
spinning thread keeps the one it waits for from running: boosting was 25 times slower with two threads
than with one on two busy cores, and equally fast with sleeping ones. OpenMP reads the setting when it is loaded, hence
here, before either of the two.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
