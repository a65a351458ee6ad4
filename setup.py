"""Puts the weights beside the library in a wheel; everything else is in pyproject.toml.

An editable install finds them where they are.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
LEFT_OUT = shutil.ignore_patterns("*.safetensors")  # only training reads them


class BuildWithWeights(build_py):
    """Copy the packages, and the weights into `kdphys/weights`."""

    def run(self) -> None:
        """Copy all."""
        super().run()
        if not self.editable_mode:
            inside = Path(self.build_lib) / "kdphys" / "weights"
            shutil.copytree(HERE / "weights", inside, ignore=LEFT_OUT, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithWeights})
