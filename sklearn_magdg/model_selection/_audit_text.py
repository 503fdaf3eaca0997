"""A `SplitAudit` as text and as a web page's table."""

from html import escape

import pandas as pd

from sklearn_magdg._words import counted, shorten

HEADINGS = {
    "shared_patients": "patients",
    "shared_magnifications": "magnifications",
    "shared_accessions": "accessions",
    "duplicates": "identical",
    "near_duplicates": "near",
    "empty_cells": "empty cells",
}
_WORDS = {
    "shared_patients": "patients",
    "duplicates": "identical samples",
    "near_duplicates": "near samples",
    "shared_magnifications": "magnifications",
    "shared_accessions": "accession numbers under different patient ids",
}
LEAKS = ("shared_patients", "duplicates", "near_duplicates")  # whatever the protocol claims
_LEGEND = "&#9650; a leak. Samples by position: 5 as 9 is a test sample 5 that training has as sample 9."
_MAX_CLASSES = 3  # of which the numbers are shown; `frame` has all
_MAX_FOLDS = 50
_MAX_CAUTIONS = 5


def looked_for(frame):
    """Columns of `frame` that count a leak or empty cells."""
    return [name for name in HEADINGS if name in frame]


def verdict(audit):
    """What the audit found in plain sentences, the gravest first."""
    summary = audit.summary
    leaks = [name for name in LEAKS if name in summary]
    others = [name for name in ("shared_magnifications", "shared_accessions") if name in summary]
    sentences = [_sentence(summary, leaks, "Leak: on both sides stand", "No leak: no")]
    sentences += [_sentence(summary, others, "On both sides stand", "No")]
    if "duplicates" not in summary:
        sentences.append("Identical samples were not looked for.")
    if summary["empty_cells"]:
        folds = f"{summary['empty_cells']} of {counted(summary['n_folds'], 'fold')}"
        sentences.append(f"A class has no sample at a magnification (an empty cell) in {folds}.")
    cautions = audit.cautions
    rest = len(cautions) - _MAX_CAUTIONS
    return [*sentences, *cautions[:_MAX_CAUTIONS], *([f"{rest} more such folds: see `cautions`."] if rest > 0 else [])]


def _sentence(summary, names, found, nothing):
    present = [name for name in names if summary[name]]
    if not present:
        *first, last = (_WORDS[name] for name in names)
        return f"{nothing} {', '.join(first)}{' or ' if first else ''}{last} stand on both sides."
    return f"{found} {', '.join(f'{_WORDS[name]} in {_extent(summary, name)}' for name in present)}."


def _extent(summary, name):
    folds = f"{summary[name]} of {counted(summary['n_folds'], 'fold')}"
    return f"{folds} ({counted(summary[f'{name}_samples'], 'test sample')})"


def as_text(audit):
    """Verdict and aligned table; an exclamation mark stands at a leak."""
    table = text_table(audit.frame.iloc[:_MAX_FOLDS])
    return "\n".join([*verdict(audit), "", table.to_string(index=False), *_rest(audit)])


def text_table(frame):
    """Text cells of the numbers in `frame`, a row per fold."""
    table = pd.DataFrame({"fold": frame.index} | _sizes(frame))
    for name in looked_for(frame):
        mark = "!" if name in LEAKS else ""
        table[HEADINGS[name]] = [f"{count}{mark if count else ''}" for count in frame[name]]
    return table


def as_html(audit):
    """Verdict and table with the first names of what is shared; leaks bold, tinted and marked by a triangle."""
    frame = audit.frame.iloc[:_MAX_FOLDS]
    columns = _sizes(frame)
    header = ["fold", *columns, *(HEADINGS[name] for name in looked_for(frame))]
    body = []
    for row, fold in enumerate(frame.index):
        cells = [_cell(fold), *(_cell(values[row]) for values in columns.values())]
        cells += [_finding(audit, name, fold) for name in looked_for(frame)]
        body.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f'<th style="text-align:left;white-space:nowrap">{escape(each)}</th>' for each in header)
    said = "<br>".join(map(escape, [*verdict(audit), *_rest(audit)]))
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    return f"<p>{said}</p>{table}<p>{_LEGEND}</p>"


def _sizes(frame):
    """Columns of the sizes of both sides, with their classes where these are few."""
    columns = {}
    for side in ("train", "test"):
        counts = frame[[name for name in frame if name.startswith(f"{side}_")]]
        heading, cells = side, frame[f"n_{side}"].astype(str)
        if 1 < counts.shape[1] <= _MAX_CLASSES:
            heading += f" ({' + '.join(name.removeprefix(f'{side}_') for name in counts)})"
            cells += counts.astype(str).agg(" + ".join, axis=1).map(" ({})".format)
        columns[heading] = cells.tolist()
    return columns


def _rest(audit):
    rest = len(audit.frame) - _MAX_FOLDS
    return [f"The first {_MAX_FOLDS} folds; {rest} more are in `frame`."] if rest > 0 else []


def _cell(content, style=""):
    return f'<td style="text-align:left;vertical-align:top;white-space:nowrap;{style}">{content}</td>'


def _finding(audit, name, fold):
    count = audit.frame.loc[fold, name]
    if not count:
        return _cell("0")
    names = escape(shorten(_shown(getattr(audit, name)[fold], name), 4 if name == "shared_magnifications" else 2))
    names = f'<br><span style="font-size:smaller">{names}</span>'
    if name in LEAKS:
        return _cell(f"<b>&#9650; {count}</b>{names}", "background:rgba(214,69,65,0.2)")
    return _cell(f"{count}{names}")


def _shown(culprits, name):
    """Culprits as words, one after the other."""
    if name in ("duplicates", "near_duplicates"):
        return (f"{test} as {train}" for test, train in culprits.tolist())
    if name == "empty_cells":
        return (f"{label} at {magnification} in {side}" for side, label, magnification in culprits)
    return map(str, culprits)
