"""The words of a case: what each field of its id may be, and what each word means."""

from __future__ import annotations

TARGETS = {
    "index": "class indices as int64",
    "u8": "class indices as uint8",
    "low": "class indices that are all 0",
    "top": "class indices that are all C - 1",
    "diag": "class indices 0, 1, 2 and so on",
    "prob": "rows of positive numbers in the dtype of the logits, which add up to 3/4 or 5/4",
    "sparse": "rows with four classes that are not 0",
    "signed": "rows with entries below 0 and above 1, in which the loss is as linear",
    "hot": "one-hot rows, of ones and zeros",
    "unit": "rows that add up to 1, every second of them the same number everywhere",
    "void": "rows of `prob`, and nothing but zeros in every second",
    "pad": "rows of nothing but zeros",
    "multi": "rows of zeros with a 1 at two classes",
    "mixed": "rows of zeros with 1/2 at two classes",
}

CONSTANT = {"low": 0, "top": -1}
"""Kinds of class indices that are all one class, counted from the end below 0."""

FIXED = (*CONSTANT, "diag")
"""Kinds of class indices that are not drawn."""

SOFT = ("prob", "sparse", "signed", "hot", "unit", "void", "pad", "multi", "mixed")

WEIGHTS = {
    "w": "positive class weights",
    "wn": "class weights of both signs",
    "wz": "class weights with a zero at a label",
    "wx": "class weights 1/8, 1 and 8 in turn",
    "w1": "class weights that are all 1",
    "weq": "class weights that are all 3/8",
    "wfar": "class weights 2^-10, 1 and 2^10 in turn",
    "wneg": "negative class weights",
    "wint": "class weights 1, 2 and 5 in turn",
    "wsmall": "class weights 1/4096, 2/4096 and 3/4096 in turn",
    "wone": "class weights that are all 0, but for that of the first row's label",
}

IGNORE = {
    "ign": "ignore_index -100 in some rows",
    "ign1": "ignore_index 1, inside [0, C)",
    "ign0": "ignore_index 0, the first class",
    "ign255": "ignore_index 255, the largest uint8",
    "ignminus": "ignore_index -1",
    "igntop": "ignore_index C - 1, the last class",
    "ignabove": "ignore_index C",
    "ignbig": "ignore_index 1000000, above every class",
    "ignwide": "ignore_index 2^32, which is 0 in 32 bits",
    "allign": "every row ignored",
    "ignfirst": "the first row ignored",
    "ignlast": "the last row ignored",
    "ignpair": "two neighbouring rows ignored",
    "ignmost": "all rows but one ignored",
    "ignhalf": "the first half of the rows ignored",
}

SMOOTHING = {
    "ls": "label smoothing 0.1",
    "ls3": "label smoothing 0.3",
    "lsh": "label smoothing 0.5",
    "ls1": "label smoothing 1, which leaves nothing at the label",
    "ls01": "label smoothing 0.0125, no multiple of 1/100",
    "ls9": "label smoothing 0.9",
    "ls05": "label smoothing 0.05",
    "ls2": "label smoothing 0.2",
}

OPTIONS = {
    **WEIGHTS,
    **IGNORE,
    **SMOOTHING,
    "dir": "a direction, along which jvp and hvp are judged",
}

UPSTREAMS = {
    "one": "ones",
    "neg": "a negative scalar",
    "scale": "2^14, as a loss that is scaled for float16 gets",
    "amp": "2^16, with which automatic mixed precision starts, or half of the largest number if that is less",
    "eighth": "1/8, as each of eight steps gets that add up their gradients",
    "three": "3",
    "tenths": "0.3",
    "cent": "1/100, as an auxiliary loss gets",
    "dust": "2^-100, or the least normal number if that is more",
    "near": "1 + 2^-7, which is nearly 1",
    "vast": "2^40, or half of the largest number if that is less",
    "nil": "0",
    "rand": "random and signed per row",
    "str": "random, in a strided buffer",
    "exp": "a negative scalar expanded with stride 0",
    "zero": "random, and 0 in every second row",
    "tiny": "random, and 1e-30 in every second row, or the least normal number if that is more",
    "huge": "random, and 1e20 in every second row, or a quarter of the largest number if that is less",
}

SCALARS = {
    "one": 1.0,
    "scale": 2.0**14,
    "amp": 2.0**16,
    "eighth": 0.125,
    "three": 3.0,
    "tenths": 0.3,
    "cent": 0.01,
    "dust": 2.0**-100,
    "near": 1 + 2.0**-7,
    "vast": 2.0**40,
    "nil": 0.0,
}
"""Upstream gradients that are one number for all rows."""

LAYOUTS = {
    "contig": "contiguous",
    "trans": "logits transposed in memory",
    "sliced": "logits sliced from a wider buffer",
    "padded": "logits sliced from longer rows, as those of a padded vocabulary",
    "bcast": "logits expanded over the batch with stride 0",
    "tstr": "targets strided",
    "twice": "backward called twice, the second judged",
    "thrice": "backward called three times, the third judged",
    "needs-x": "of a layer, the inputs alone need a gradient",
    "needs-w": "of a layer, the weight alone",
    "needs-b": "of a layer, the bias alone",
    "needs-xw": "of a layer, inputs and weight",
    "needs-xb": "of a layer, inputs and bias",
    "needs-wb": "of a layer, weight and bias",
}

NEEDS = {"x": "a_prev", "w": "w", "b": "b"}
"""Letters of the layouts that say which arrays of a layer need a gradient."""
