"""The words on the page, in one place."""

from types import MappingProxyType

TIMES = "\N{MULTIPLICATION SIGN}"
NOTHING = "\N{EN DASH}"

TITLE = "KDPhys"
HEADLINE = "Your pulse, read from video."
SUMMARY = (
    "A beating heart tints the skin by about half a percent. KDPhys finds that rhythm in a video "
    "of a face, with a small streaming network taught by a large one."
)
NOT_MEDICAL = "Not a medical device"
PRIVATE = "Videos are deleted within 15 minutes, live pictures never stored"

TAB_VIDEO = "Video"
TAB_DISTILLATION = "Distillation"
TAB_ABOUT = "About"

UPLOAD_LABEL = "Video of a face"
UPLOAD_DROP = "Drop a video of a face"
UPLOAD_CLICK = "choose a file"
UPLOAD_OR = "or"
UPLOAD_RULES = (
    "mp4, mov, webm, avi or mkv · up to {size} MB and {minutes} minutes · 15 to 60 seconds is best"
)
NO_PREVIEW = "Your browser can't play this file. KDPhys may still be able to measure it."
EXAMPLES = "Or try a synthetic face"
EXAMPLES_NOTE = "Made by KDPhys' own generator, with a known pulse. No real person is shown."
MEASURE = "Measure"
THEME = "\N{CIRCLE WITH LEFT HALF BLACK} Theme"

EMPTY_TITLE = "Nothing measured yet"
EMPTY_TEXT = "Choose a video or try a synthetic face. The reading appears here."
TIPS = (
    ("Light", "Even and steady daylight or a lamp in front of you. No flicker, no backlight."),
    ("Face", "Look at the camera, arm's length away, and keep still."),
    ("Length", "At least 6 seconds for a rate; 20 or more for its variability."),
    ("Camera", "No beauty filter, no messenger compression. 25 frames a second or more."),
)

BPM = "bpm"
NO_READING = "No reading"
CONFIDENCE = "confidence"
CONFIDENCE_WORDS = ((0.85, "High"), (0.7, "Good"), (0.5, "Fair"), (0.0, "Low"))
MODEL = "Read by"
MODEL_NAMES = MappingProxyType(
    {"student": "Student", "teacher": "Teacher", "pos": "POS", "chrom": "CHROM", "green": "GREEN"}
)
NETWORKS = ("student", "teacher")  # the others are classical methods
MODEL_NOTES = MappingProxyType(
    {
        "student": "streaming 2D network",
        "teacher": "whole-clip 3D network",
        "pos": "no training, Wang et al. 2017",
        "chrom": "no training, de Haan & Jeanne 2013",
        "green": "no training, Verkruysse et al. 2008",
    }
)
RMSSD = "Variability"
RMSSD_NOTE = "RMSSD, from beat to beat"
SDNN = "Spread of beats"
SDNN_NOTE = "SDNN, over the minute or less"
SDNN_VIDEO_NOTE = "SDNN, over the whole video"
BEATS = "Beats"
BEATS_NOTE = "found in the pulse wave"
RESPIRATION = "Breathing"
RESPIRATION_NOTE = "from the beats' rhythm"
FACE_SHARE = "Face in view"
FACE_NOTE = "of the time"
LENGTH = "Video"
CROPS = "What the network saw"
CROPS_SIZE = f"{{size}} {TIMES} {{size}} pixels each, evenly spread over the video"

TRACE = "Pulse wave"
TRACE_NOTE = (
    "Dots are beats. Drag to zoom, double-click to reset; the strip below is the whole video."
)
SPECTRUM = "Spectrum"
SPECTRUM_NOTE = "How strongly each rate is present. One clear peak is a pulse."
HISTORY = "Heart rate over time"
HISTORY_NOTE = "Windows of up to 10 s. Below: the confidence of each."
HISTORY_NONE = "No window gives a reading"

COMPARISON = "Teacher versus student on this clip"
ARITHMETIC = ("Student's arithmetic", "less", "more")
SPEED = ("Student's speed", "faster", "slower")
THAN = "than the teacher"
COSTS = "What the teacher costs, against the student"
COSTS_NOTE = "Times as much as the student, on a logarithmic axis."
TABLE_NOTE = "POS, CHROM and GREEN need no training: they are the floor to beat."
COST_NAMES = MappingProxyType(
    {
        "parameters": "Parameters",
        "macs": "Multiply-accumulates a frame",
        "bytes": "File size",
        "ms": "Time a frame",
    }
)
COLUMNS = (
    "Heart rate",
    "Confidence",
    "Parameters",
    "Multiply-accumulates a frame",
    "File size",
    "Time a frame",
    "Whole clip",
)

TIMING = "Where the time went"
TIMING_NOTE = (
    "Student: {total:.1f} s for {video:.0f} s of video, which is {times} as fast as real time."
)
STAGES = MappingProxyType(
    {"decode": "Decode", "face": "Face", "network": "Network", "signal": "Signal"}
)
OTHER = "Other"

DOWNLOADS = "Take it with you"
DOWNLOADS_NOTE = "Ready for 15 minutes, then deleted with the video."
DOWNLOAD_LABELS = MappingProxyType(
    {"csv": "CSV, the waves", "json": "JSON, everything", "png": "PNG, a picture"}
)

TAUGHT = "What the teacher is, and what the student kept"
TAUGHT_NOTE = (
    "The teacher sees a whole clip at once and learned from synthetic faces whose pulse is known. "
    "The student sees one picture at a time, and learned from the same faces and from the teacher."
)
KINDS = MappingProxyType(
    {"teacher": "3D network, a whole clip at once", "student": "2D network, one picture at a time"}
)
KEPT_COLUMNS = (
    "Parameters",
    "Multiply-accumulates a frame",
    "File size",
    "Within 3 bpm",
    "Mean error",
    "Clips with a reading",
    "Mean error of readings",
)
KEPT_NOTE = (
    "{clips} synthetic clips of 30 s at difficulty 1 of up to 2, with people, pulses and "
    "seeds that training never saw; one training run. Real faces beside a contact sensor: not "
    "measured."
)
LOOKS = "Where they look on your clip"
LOOKS_NOTE = (
    "Bright is where a network's features are strong, in the mean over 10 s. This is what "
    "attention-guided transfer hands on from teacher to student."
)
LOOKS_EMPTY = "Measure a video in the Video tab; where both networks look on it appears here."
LOOKS_FACE = "Your clip, mean picture"
LOOKS_ALIKE = "The two maps correlate by {alike:.2f}: 1 is the same, 0 has nothing in common."
WORTH = "What each thing that the teacher says is worth"
WORTH_NOTE = (
    "The same student, clips and {steps} steps; mean and spread of {seeds} seeds at most. The "
    "correlation is that of its wave with the true pulse. What is within the spread means nothing."
)
WORTH_COLUMNS = MappingProxyType(
    {
        "seeds": "Seeds",
        "correlation": "Correlation",
        "MAE": "Mean error, bpm",
        "within 3": "Share within 3 bpm",
    }
)
WORTH_NAMES = MappingProxyType(
    {
        "labels alone": "Labels alone",
        "+ wave": "Labels and the teacher's wave",
        "+ wave by DILATE": "Labels and the teacher's wave, by DILATE",
        "+ where it looks": "Labels and where the teacher looks",
        "+ its features": "Labels and the teacher's features",
        "all": "Labels and all of it, fading",
        "all but DILATE": "Labels and all of it but DILATE, fading",
        "all, to the end": "Labels and all of it, to the end",
        "all, larger student": "All of it, a larger student",
        "labels alone, mistimed": "Labels out of time",
        "labels alone, mistimed and forgiven": "Labels out of time, forgiven",
        "all, mistimed labels": "Labels out of time, forgiven, and a teacher of exact ones",
        "all, mistimed for the teacher too": "Labels out of time, forgiven, and a teacher of such",
        "teacher": "The teacher itself",
    }
)
RESULTS_GONE = "The results of this version are not at hand: docs/results is missing or damaged."

NO_VIDEO = "No video is chosen. Drop a video of a face here, or pick an example."
FAILED = "The server failed to measure this video. Try another one; if it stays so, tell its owner."
LEFT = (
    "Nobody listened for the answer within 15 s of asking, or who asked has left, so it ended. Ask "
    "again, and listen at once."
)
NO_ROOM = "The server has no room for this video just now. Try again in 15 minutes."
NO_ROOM_FOR_ONE = (
    "Most of what the server can keep came from your network's address, and the rest is for "
    "others. Try again in 15 minutes."
)
BUSY = "{answers} answers are waited for, and no more can be. Try again when there are fewer."
BUSY_OF_ONE = (
    "{answers} answers are waited for at your network's address, and some places are kept for "
    "others. Try again when there are fewer."
)
NO_DOWNLOADS = (
    "The server has no room for the files to download just now. Measure the video again in 15 "
    "minutes."
)
NOT_FETCHED = (
    "A web address came, and this server fetches nothing from the web: upload the file, or give a "
    "tool its data address."
)
NO_ADDRESS = (
    "{given!r} is no address: give the video's data address, as data:video/mp4;base64,AAAA, or the "
    "one that it got when it was uploaded to this server."
)
BROKEN_DATA = (
    "The video's data address is broken: give data:video/mp4;base64, and after it the whole file "
    "in Base64."
)
NOT_UPLOADED = "A file came inside the request: upload it, and name it in the request."
NO_FILE = (
    "The request names no file of this server: upload the video, and give what names it, as "
    "gradio_client's handle_file does."
)
ONE_FILE = "An upload is one file and nothing beside it: send each video by itself."
TOO_LARGE = (  # by "maximum allowed size" Gradio knows that it is to answer 413
    "The upload is beyond the maximum allowed size, {size} MB: cut the video into shorter parts, "
    "or make its pictures smaller."
)
TOO_MANY_WORDS = (
    "The request has more than {most} kB, and no question to this page is as long: upload a video "
    "as a file, and name that in the request."
)
NO_CALL = (
    "The call of a tool is no JSON, or nested too deep: send one JSON object, as the Model Context "
    "Protocol has it."
)
TOO_FEW = (
    "The request gives {given} inputs and {needed} are needed: see Use via API, at the page's foot."
)
NO_FUNCTION = "The page has no such function: see Use via API, at its foot."
WRONG_WORDS = "The page can't be asked so ({why}): see Use via API, at its foot."
NOTHING_HERE = "There is nothing here for visitors."
NO_TOOLS_HERE = "Tools are asked at /gradio_api/mcp/, over the protocol's streamable HTTP."
SESSIONS = (
    "More than {most} pages or programs at your network's address asked this server within 15 "
    "minutes, and what it keeps for each is for others too. Try again in 15 minutes."
)
ONE_PIECE = "Ask for one piece of a file at a time, from one byte to a later one."
NOT_CUT = "This server measures videos of faces, and cuts no recordings."
GONE = (
    "This reading has expired from the server, and a video of your own with it: choose that again, "
    "and measure it."
)
VIDEO_GONE = (
    "This video is no longer on the server, which keeps it for up to 15 minutes: choose it again."
)

ABOUT = """
### How it works
Each heartbeat pushes blood into the skin of the face and changes its colour a little. KDPhys finds
the face in every frame, cuts out a small steady square, and gives the squares to a network that
turns them into a **pulse wave**. Heart rate, its variability and breathing are read from that wave.

Two networks are compared on every clip. The **teacher** is a 3D network that looks at the whole
clip at once. The **student** is a 2D network that sees one frame at a time, remembers a little, and
learned from the teacher. Three classical methods without training, POS, CHROM and GREEN, run
beside them.

### What it can't do
- It is **not a medical device**. Don't base a decision about health on it.
- Accuracy on real faces against a contact sensor has **not been measured yet**.
- Motion, flickering light, strong compression, make-up and beauty filters can hide the pulse. Then
  there is **no reading**, and the reason is given; KDPhys would rather say nothing than guess.

### Your pictures
**Video**: it is uploaded to the server that shows this page, measured there, and deleted within 15
minutes. The numbers, and up to 10 seconds of small pictures of the face, are held as long for you
to look at. **Live**: your browser sends small pictures of your face, and of all that the camera
sees while it looks for one; until you stop, the server holds the last 10 seconds of them and the
last minute of the wave in memory. **Live, in this browser only**: your browser does all of it and
sends nothing. Beyond that nothing is kept or sent anywhere else, and nothing is used for training.

### From a program
```python
from gradio_client import Client, handle_file

client = Client("ADDRESS")
print(client.predict(handle_file("face.mp4"), "student", api_name="/measure"))
```
`/measure` gives one model's reading, `/compare` all of them with the networks' cost. The same is on
the command line: `python -m kdphys measure face.mp4 --json`.
"""

LIVE_TWICE = "This measurement went on in another window or over another connection."
LIVE_BUSY = (
    "KDPhys is busy: {visitors} people are being measured. Try again in a minute, or measure a "
    "video in the other tab."
)
LIVE_SLOW = (
    "KDPhys is busy: answers come late just now. Try again in a minute, or measure a video in the "
    "other tab."
)
LIVE_BUSY_OF_ONE = (
    "{visitors} people at your network's address are being measured, and some places are kept for "
    "others. Try again in a minute, or measure a video in the other tab."
)
LIVE_SILENT = "The browser sent nothing for {seconds:.0f} s, so the measurement ended."
LIVE_FLOOD = "More than {fps:.0f} pictures a second came, which no camera gives."
LIVE_ASKS = "More than {most} requests in {seconds:.0f} s came, which no hand makes."
LIVE_CROWDED = "Too many connections are being made at once. Try again in a minute."
LIVE_BROKEN = (
    "The server failed to read your pictures. Start again; if it stays so, tell its owner."
)
LIVE_ORIGIN = (
    "Only this server's own page may send pictures to it. If this is that page, a proxy before the "
    "server does not pass its address on: its keeper can name it as GRADIO_ROOT_PATH."
)

TAB_LIVE = "Live"
LIVE_LOADING = "Loading: the camera can be started in a moment."
LIVE_LATE = (
    "What runs the camera has not loaded: on a slow line wait, else check that the page's scripts "
    "are allowed and reload it."
)
LIVE_START = "Start camera"
LIVE_STOP = "Stop"
LIVE_RECORD = "Record"
LIVE_RECORDING = "Stop recording"
LIVE_RECORDED = "{seconds} s are recorded; download them below, as .npz, or record anew."
LIVE_NOTHING_RECORDED = "Nothing was recorded, as no face was in view."
LIVE_SPOKEN = "{bpm} beats per minute"
LEAST_MS = 5  # of variability, below which the noise of beats decides what is left
UNDER = "under {least}"
LIVE_COMPARE = "Compare now"
LIVE_CAMERA = "Camera"
LIVE_SENT = (
    "Your browser sends small pictures of your face to this server, and of all that the camera "
    "sees while it looks for one. The server forgets them when you stop, or 30 s after the line is "
    "lost. Recordings stay in your browser."
)
LIVE_PRIVATE = "In this browser only"
LIVE_PRIVATE_NOTE = (
    "Everything happens in your browser: it loads the network (4 MB, and 1 MB more to compare), "
    "and no picture, wave or reading ever leaves this device."
)
LIVE_TRACE = "Pulse wave, live"
LIVE_TRACE_NOTE = "The last 8 seconds. Gaps are times without a face."
LIVE_HISTORY = "Heart rate so far"
LIVE_HISTORY_NOTE = (
    "Two readings a second, each over the last 12 seconds; how sure they are is judged by the last "
    "minute. Gaps: no reading."
)
LIVE_LATENCY = "Teacher versus student"
LIVE_LATENCY_NOTE = "The student reads every picture as it comes. The teacher needs a whole clip."
LIVE_VERDICT = (
    "Last {seconds} s, whole clip at once: student {student} a frame; teacher {teacher} a frame, "
    "{times} times as long."
)
LIVE_NOT_COMPARED = "The comparison failed in your browser ({why}). Try again."
LIVE_TOO_SOON = "Too few seconds of a face to compare: wait for a reading."
LIVE_LAG = "Camera to answer"
LIVE_LAG_NOTE = "median; the wave then trails by {ahead_s:.2f} s more: the network looks ahead"
LIVE_NETWORK = "Student, one frame"
LIVE_NETWORK_NOTE = "median, where it runs"
LIVE_FILMED = "Pictures"
LIVE_FILMED_NOTE = "that go to the network, in the last seconds"
LIVE_DOWNLOADS = "Take it with you"
LIVE_DOWNLOADS_NOTE = (
    "Made in your browser. The .npz holds what was recorded, for python -m kdphys measure to read."
)
LIVE_CLOCK = (
    "This browser doesn't tell when a picture was taken, so times are those of the screen and the "
    "reading is less sure. Chrome, Edge and Safari tell it."
)
LIVE_STATUS = MappingProxyType(
    {
        "idle": "Press Start camera, sit still and look at the screen.",
        "starting": "Asking for the camera …",
        "collecting": "Collecting: keep still, the first reading takes some 6 seconds.",
        "unread": "No reading yet: keep still.",
        "reading": "Reading your pulse.",
        "no face": "No face in view. Look into the camera.",
        "face lost": "Face lost. Look into the camera.",
        "too far": "Move closer to the camera.",
        "too dark": "More light, please: turn a lamp on or face a window.",
        "too bright": "Less light, please: your face is overexposed.",
        "restless": "Hold still.",
        "sparse": "The camera gives too few pictures: more light lets it film faster.",
        "slow line": (
            "Too few pictures get through: the line or the server is too slow. Try “In this "
            "browser only”."
        ),
        "flicker": "The light flickers, or you rock in it: sit still, in steady light.",
        "hidden": "Paused: browsers stop the camera of a tab in the background.",
        "loading": "Loading the network into your browser …",
        "failed": "Private mode failed in your browser. Start again, or turn it off",
        "unable": (
            "This browser can't run the network by itself: it is too old, or WebAssembly is "
            "blocked. Turn “In this browser only” off, or try another browser."
        ),
        "reconnecting": "Connection lost. Trying again …",
        "unreachable": "The server can't be reached. Check the network, then start again.",
        "blind": "The camera gives no pictures. Check it, or choose another one.",
        "unplugged": "The camera was unplugged or taken away. Start again.",
        "closed": "",
        "done": "Stopped. Your wave and readings can be downloaded below.",
        "insecure": (
            "Browsers give a camera to pages over https or on this computer only. Open this page "
            "that way."
        ),
        "NotAllowedError": (
            "The camera is blocked. Allow it for this page (the camera sign in the address bar), "
            "then start again."
        ),
        "NotFoundError": "No camera was found. Plug one in, then start again.",
        "NotReadableError": (
            "The camera is in use by another program. Close that one, then start again."
        ),
        "OverconstrainedError": "This camera is gone. Choose another one.",
        "camera": "The camera could not be started. Try another one",
    }
)
