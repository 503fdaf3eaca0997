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
# the same columns in a sentence
_WORDS = {
    "shared_patients": "patients",
    "duplicates": "identical samples",
    "near_duplicates": "near samples",
    "shared_magnifications": "magnifications",
    "shared_accessions": "accession numbers under different patient ids",
}
# what stands behind a number, where it is more than a name: pairs of positions, and (side, class, magnification)
_PATTERNS = {"duplicates": "{} as {}", "near_duplicates": "{} as {}", "empty_cells": "{1} at {2} in {0}"}
LEAKS = ("shared_patients", "duplicates", "near_duplicates")  # whatever the protocol claims
_LEGEND = "&#9650; a leak. Samples by position: 5 as 9 is a test sample 5 that training has as sample 9."
_MAX_CLASSES = 3  # of which the numbers are shown; `frame` has all
_MAX_FOLDS = 50
_MAX_CAUTIONS = 5


def looked_for(frame):
    """Columns of `frame` that count a leak or empty cells, in the order of `HEADINGS`; one absent was not looked for.

    Parameters
    ----------
    frame : pandas.DataFrame
        That of a `SplitAudit`.

    Returns
    -------
    names : list of str
    """
    return [name for name in HEADINGS if name in frame]


def verdict(audit):
    """What the audit found in plain sentences, the gravest first: leaks, what may be one, empty cells, cautions.

    Parameters
    ----------
    audit : SplitAudit

    Returns
    -------
    sentences : list of str
        At least two; of many cautions the first.

    Examples
    --------
    >>> from sklearn_magdg.model_selection import audit_splits, verdict
    >>> X, y, patient = [[1], [2], [3], [4]], [0, 1, 0, 1], ["a", "a", "b", "b"]
    >>> verdict(audit_splits([([0, 1], [2, 3])], X, y, patient=patient, magnification=[40, 100, 200, 400]))[0]
    'No leak: no patients or identical samples stand on both sides.'
    """
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
    """Which of the columns `names` count something, begun by `found`; or that none does, begun by `nothing`."""
    present = [name for name in names if summary[name]]
    if not present:
        *first, last = (_WORDS[name] for name in names)
        return f"{nothing} {', '.join(first)}{' or ' if first else ''}{last} stand on both sides."
    n_folds = counted(summary["n_folds"], "fold")
    extents = [
        f"{_WORDS[name]} in {summary[name]} of {n_folds} ({counted(summary[f'{name}_samples'], 'test sample')})"
        for name in present
    ]
    return f"{found} {', '.join(extents)}."


def as_text(audit):
    """Verdict and aligned table; an exclamation mark stands at a leak."""
    table = text_table(audit.frame.iloc[:_MAX_FOLDS])
    return "\n".join([*verdict(audit), "", table.to_string(index=False), *_rest(audit)])


def text_table(frame):
    """Text cells of the numbers in `frame`, a row per fold; an exclamation mark stands at a leak.

    Parameters
    ----------
    frame : pandas.DataFrame
        That of a `SplitAudit`, or some rows of it.

    Returns
    -------
    table : pandas.DataFrame
        Columns of text under headings for people; the numbers of a class only where there are few classes.
    """
    table = pd.DataFrame({"fold": frame.index} | _sizes(frame))
    for name in looked_for(frame):
        mark = "!" if name in LEAKS else ""
        table[HEADINGS[name]] = [f"{count}{mark if count else ''}" for count in frame[name]]
    return table


def as_html(audit):
    """Verdict and table with the first names of what is shared; leaks bold, tinted and marked by a triangle.

    By more than colour, for readers who do not see it. All that came from the data is escaped.
    """
    frame = audit.frame.iloc[:_MAX_FOLDS]
    columns, findings = _sizes(frame), looked_for(frame)
    body = []
    for row, fold in enumerate(frame.index):
        cells = [_cell(fold), *(_cell(values[row]) for values in columns.values())]
        for name in findings:
            count, culprits = frame.loc[fold, name], getattr(audit, name)[fold]
            words = (_PATTERNS[name].format(*each) if name in _PATTERNS else str(each) for each in culprits)
            most = 4 if name == "shared_magnifications" else 2  # the four usual ones fit in a cell
            said = f'<br><span style="font-size:smaller">{escape(shorten(words, most))}</span>' if count else ""
            is_leak = bool(count) and name in LEAKS
            number = f"<b>&#9650; {count}</b>" if is_leak else str(count)
            cells.append(_cell(f"{number}{said}", "background:rgba(214,69,65,0.2)" if is_leak else ""))
        body.append(f"<tr>{''.join(cells)}</tr>")

    header = ["fold", *columns, *(HEADINGS[name] for name in findings)]
    head = "".join(f'<th style="text-align:left;white-space:nowrap">{escape(each)}</th>' for each in header)
    said = "<br>".join(map(escape, [*verdict(audit), *_rest(audit)]))
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    return f"<p>{said}</p>{table}<p>{_LEGEND}</p>"


def _sizes(frame):
    """By heading, text of the sizes of both sides, with their classes where these are few: "6 (2 + 4)"."""
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
    """That there are more folds than are shown: a list of one sentence, or of none."""
    rest = len(audit.frame) - _MAX_FOLDS
    return [f"The first {_MAX_FOLDS} folds; {rest} more are in `frame`."] if rest > 0 else []


def _cell(content, style=""):
    """A table's cell; styles stand in each, for a notebook drops those of a page."""
    return f'<td style="text-align:left;vertical-align:top;white-space:nowrap;{style}">{content}</td>'
