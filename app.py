"""Start the page. Nothing else."""

import os
import sys

from webapp.folder import own_folder
from webapp.settings import read_settings

if __name__ == "__main__":
    settings = read_settings(sys.argv[1:], os.environ)
    with own_folder() as folder:
        from webapp.ui import serve  # and with it Gradio, which goes by what is set by now

        serve(folder, settings)
