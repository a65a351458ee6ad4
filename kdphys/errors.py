"""What a user can run into, each as one sentence: what was found, what is needed, what to do."""


class KDPhysError(Exception):
    """A situation the user can change; its text is meant to be shown as it is."""


class VideoError(KDPhysError):
    """The input is missing, is no video, or holds no usable frames."""


class NoFaceError(KDPhysError):
    """No face was found where one is needed."""


class TooShortError(KDPhysError):
    """There is too little usable face video for the number that was asked for."""


class WeightsError(KDPhysError):
    """Network weights are missing, damaged, or not the ones they claim to be."""


class HubUnreachableError(WeightsError):
    """The Hugging Face Hub does not answer, and its cache here lacks what was asked for."""


class WorkerError(KDPhysError):
    """Those who are to measure videos, processes or a cluster's workers, can't be had or ended."""
