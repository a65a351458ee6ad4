"""Whether anyone still waits for an answer: who has closed the page is not measured on.

Gradio tells each visitor and each program how far their request has come over a stream of their
own, takes what waits in its queue out of it when that stream is closed, and lets what has begun run
to its end, though the answer then goes nowhere.
"""

from collections.abc import Callable

from gradio.context import LocalContext


def awaited() -> Callable[[], bool]:
    """Make what tells whether the answer to the request of this moment can still be told."""
    page, event_id = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    if page is None or event_id is None:  # no request: Python itself asks
        return lambda: True
    event = page._queue.event_ids_to_events.get(event_id)
    return lambda: event is None or event.alive
