"""KDPhys: the pulse from a face on camera."""

from kdphys.pipeline import Measurement, compare, measure
from kdphys.stream import LiveMeter

__all__ = ["LiveMeter", "Measurement", "compare", "measure"]
