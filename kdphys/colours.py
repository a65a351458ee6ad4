"""The colour by which each model is told apart, in every picture of it.

After Okabe and Ito (2008), "Color Universal Design": colour-blind eyes can tell them apart, and
they stand out on a white and on a near-black ground.
"""

COLOURS = {
    "student": "#2b83d9",
    "teacher": "#e5850b",
    "pos": "#0f9f77",
    "chrom": "#c4649b",
    "green": "#7d8799",
}
