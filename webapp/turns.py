"""How many answers one address may wait for, so that nobody takes every place in the queue.

A place is taken when a question is asked, whether or not anyone then listens for the answer.
"""

import gradio as gr
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from webapp import texts
from webapp.address import who_asks
from webapp.doors import CALL

MOST_OF_ONE = 8  # answers, where visitors have addresses of their own
JOIN = "/gradio_api/queue/join"


class Turns:
    """Everything a server answers to, of which one address may wait for so much at once.

    Args:
        app: What answers.
        page: Whose queue it is.
    """

    def __init__(self, app: ASGIApp, page: gr.Blocks) -> None:
        self.app, self.page = app, page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or say that enough is waited for, by all or at its address."""
        said = self._why_not(scope) if _asks(scope) else None
        if said is None:
            await self.app(scope, receive, send)
        else:  # as Gradio says that its queue is full
            await JSONResponse({"detail": said}, 503)(scope, receive, send)

    def _why_not(self, scope: Scope) -> str | None:
        queue = self.page._queue
        if queue.max_size is not None and len(queue) >= queue.max_size:
            return texts.BUSY.format(answers=len(queue))
        if not (who := who_asks(scope)):
            return None
        events = queue.event_ids_to_events.values()
        waits = sum(who_asks(event.request.scope) == who for event in events)
        return texts.BUSY_OF_ONE.format(answers=waits) if waits >= MOST_OF_ONE else None


def _asks(scope: Scope) -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] == "POST"
        and (scope["path"] == JOIN or scope["path"].startswith(CALL))
    )
