"""What all tests share: quiet threads, and one film of a synthetic face a session."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two cores are not made faster by eight threads
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may reach the network

from hypothesis import settings

settings.register_profile("kdphys", deadline=None, derandomize=True)
settings.load_profile("kdphys")
