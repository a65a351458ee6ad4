"""Start the page. Nothing else."""

import os

from webapp.folder import own_folder

if __name__ == "__main__":
    everywhere = "0.0.0.0" if "SPACE_ID" in os.environ else "127.0.0.1"  # a Space has a proxy
    with own_folder() as folder:
        from webapp.ui import serve  # and with it Gradio, which goes by what is set by now

        serve(
            folder,
            host=os.environ.get("GRADIO_SERVER_NAME", everywhere),
            port=int(os.environ.get("GRADIO_SERVER_PORT", "7860")),
        )
