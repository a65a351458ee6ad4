"""ONNX Runtime, kept from reporting to its maker; nothing else here imports it.

Unless it is told not to before it is loaded, it tells Microsoft of processes and models, since 1.29
on Linux and macOS too, and keeps a number for the device in the user's cache.
"""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

__all__ = ["onnxruntime"]
