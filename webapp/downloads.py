"""What a visitor can take home as text: the waves as CSV, everything as JSON."""

import csv
import io
import json
from collections.abc import Mapping
from itertools import zip_longest

import numpy as np

from kdphys.pipeline import Measurement
from webapp.charts import time_axis


def csv_of(measurements: Mapping[str, Measurement]) -> bytes:
    """The waves of all models side by side, one row for each moment; gaps are empty cells.

    Raises:
        ValueError: There is no measurement, or their waves are not on one time grid.
    """
    longest = max(measurements.values(), key=lambda each: each.wave.size)
    if any(each.wave_fps != longest.wave_fps for each in measurements.values()):
        raise ValueError("measurements must come from one pass, with waves on one time grid")
    columns = [[_number(sample) for sample in each.wave] for each in measurements.values()]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["time_s", *measurements])
    writer.writerows(zip_longest([f"{t:.4f}" for t in time_axis(longest)], *columns, fillvalue=""))
    return text.getvalue().encode()


def json_of(measurements: Mapping[str, Measurement]) -> bytes:
    """What `python -m kdphys measure --json` prints, for each model by its name."""
    found = {model: measurement.to_json() for model, measurement in measurements.items()}
    return json.dumps(found, allow_nan=False).encode()


def _number(sample: float) -> str:
    return f"{sample:.6g}" if np.isfinite(sample) else ""
