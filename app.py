"""Start the page. Nothing else."""

import os

from webapp.ui import serve

if __name__ == "__main__":
    serve(host="0.0.0.0", port=int(os.environ.get("GRADIO_SERVER_PORT", "7860")))
