"""What a generator's numbers say, for people: a table and sentences."""

from sklearn_magdg._metadata import magnification_text
from sklearn_magdg._words import counted, name_some
from sklearn_magdg.generation._quality import NOISE, SAMPLES, SWAPPED, TRAINING
from sklearn_magdg.study import Table, number

_FEW_PATIENTS = 3  # of whom not even a standard error can be had
_SMALL = 0.05  # p-value that asks for a word of explanation
_HOW_TO_READ = (
    "How to read it: the training images, of other patients, are the best to hope for and noise the worst. Low "
    "precision or density: samples unlike real images. Low recall or coverage: kinds of real images that are never "
    "generated. Swapped samples were asked of another class, and should be farther within class. All numbers are "
    "those of one encoder, which may not see what a person does: look at the pictures."
)


def announcement(quality):
    """What is going to be learned, before the fit: the images, the settings, and who is held back.

    Parameters
    ----------
    quality : dict
        Of `generate`, as far as it is known before the fit: ``data``, ``settings``, ``magnifications`` and both sides.

    Returns
    -------
    text : str
        Several lines.
    """
    settings = [f"  {name} = {value}" for name, value in quality["settings"].items()]
    learned = name_some(map(magnification_text, quality["magnifications"]))
    sizes = f"The generator learns from {_size(quality, 'training')} at {learned}; {_size(quality, 'held_back')} "
    return "\n".join([quality["data"], *settings, f"{sizes}are held back."])


def _size(quality, side):
    """Numbers of a side, in words: "12 tiles of 6 patients"."""
    images = counted(quality[side]["n_images"], _noun(quality))
    return f"{images} of {counted(quality[side]['n_patients'], 'patient')}"


def _noun(quality):
    """What an image of the generator is of the collection's."""
    return "image" if quality["settings"]["tiles"] == 1 else "tile"


def quality_table(quality):
    """Everything that was compared with the held-back images, as text cells.

    Parameters
    ----------
    quality : dict
        What `generate` returns, or ``quality.json`` holds.

    Returns
    -------
    table : Table
        A row for each of training images, samples, samples with classes swapped, and noise; a dash for what is not
        known. Its note says how many images and patients the numbers are of.
    """
    header = ["images", "KID", "KID within class", "precision", "recall", "density", "coverage"]
    rows = []
    for name in (TRAINING, SAMPLES, SWAPPED, NOISE):
        numbers, cells = quality["compared"].get(name), ["–"] * 6
        if numbers is not None:
            shares = [number(numbers[share], ".2f") for share in header[3:]]
            cells = [_estimate(numbers["kid"]), _estimate(numbers["kid_within_class"]), *shares]
        rows.append([name, *cells])

    within = [name for name, kid in quality["compared"][SAMPLES]["kid_by_class"].items() if kid is not None]
    missing = "" if len(within) == len(quality["class_names"]) else f"; within class: of {', '.join(within) or 'none'}"
    how = quality["precision_recall"]
    note = (
        f"distance (KID ± standard error) and overlap with the {_size(quality, 'held_back')} held back{missing}; "
        f"precision to coverage of {how['n_images']} {_noun(quality)}s of each row, "
        f"{counted(how['n_neighbors'], 'neighbour')}"
    )
    # of the shares a narrow terminal keeps coverage longest, which one outlier does not lift
    return Table("Quality of the samples", note, header, rows, spare=(5, 3, 4))


def _estimate(kid):
    if kid is None:
        return "–"
    error = kid["standard_error"]
    return f"{kid['estimate']:z.3f}" + ("" if error is None else f" ± {error:.3f}")


def reading(quality):
    """How to read the table, and what it and the other numbers say.

    Copies are called so where the authenticity of the samples is at most half that of held-back images: a copy has
    0, an image of a new patient by far more, and what lies between may be new images of the training patients.

    Parameters
    ----------
    quality : dict
        What `generate` returns, or ``quality.json`` holds.

    Returns
    -------
    sentences : list of str
        In the order in which they are to be read; those of classes and of too few patients only where they apply.
    """
    by_class = quality["held_back"]["n_patients_by_class"]
    few = [name for name, n_patients in by_class.items() if n_patients < _FEW_PATIENTS]
    too_few = (
        f"Too few: of {name_some(few)} fewer than {_FEW_PATIENTS} patients are held back, so that these numbers say "
        "little; raise `held_back`, or use more patients."
    )
    spread = "Spread: unknown, for no class has two training images that differ."
    if quality["spread"] is not None:
        spread = (
            f"Spread: samples of a class lie {quality['spread']:.2f} times as far apart as its training images (near "
            "0: collapse)."
        )
    classes, copies = _classes(quality["compared"]), _copies(quality["memorisation"])
    return [_HOW_TO_READ, *([too_few] if few else []), *classes, copies, spread]


def _copies(found):
    """Whether samples are copies of training images, by the numbers of `memorisation_test`."""
    verdict = "no sign of copies" if found["authenticity"] > found["held_back_authenticity"] / 2 else "COPIES"
    # close to the training patients is no fault by itself, which a small p-value looks like
    expected = ", as a generator of new images of its training patients may" if found["p_value"] < _SMALL else ""
    return (
        f"Copies: {verdict}. {100 * found['authenticity']:.0f} % of samples are authentic, which copies never are (of "
        f"held-back images {100 * found['held_back_authenticity']:.0f} %). Samples lie closer to the training images "
        f"than images of new patients do in {100 * found['closer']:.0f} % of comparisons (p = {found['p_value']:.2g} "
        f"for more than half){expected}."
    )


def _classes(compared):
    r"""Whether samples follow their class, by what swapping the classes costs: none or one sentence.

    The cost is the difference of two KIDs within class, to the same held-back images. Their errors are not
    independent, so that the sum of both bounds the error of the difference, :math:`|e_a - e_b| \le e \le e_a + e_b`;
    a cost within the bound is no verdict.
    """
    own, swapped = (compared.get(name, {}).get("kid_within_class") for name in (SAMPLES, SWAPPED))
    if own is None or swapped is None:
        return []
    if own["standard_error"] is None:
        return ["Classes: too few patients of a class are held back to tell whether samples follow their class."]
    cost = swapped["estimate"] - own["estimate"]
    error = own["standard_error"] + swapped["standard_error"]
    verdict = "follow their class" if cost > error else "may or may not follow their class"
    if cost < -error:
        verdict = "are closer to the other class than to their own"
    return [
        f"Classes: samples {verdict}. Swapped, they are farther by {cost:z.3f}, with an error of up to {error:.3f}."
    ]
