"""The folder of a generator: what it holds, what may stand there before, and writing it."""

import matplotlib.pyplot as plt

from sklearn_magdg._files import check_can_hold_files, whole_file, write_json
from sklearn_magdg._words import name_some
from sklearn_magdg.persistence import save_model

GENERATED, BESIDE, QUALITY, MODEL = "generated.png", "real_and_generated.png", "quality.json", "generator.magdg"
FILES = {
    GENERATED: "generated images alone; if none is a copy, they may be shown anywhere",
    BESIDE: "real training images beside generated ones; show it only where the real ones may be shown",
    MODEL: "the generator, for sklearn_magdg.estimators.load_model",
    QUALITY: "all numbers, settings and the history of the fit",
}


def check_folder(out, fresh):
    """Refuse a folder that holds anything but files of an earlier `generate`, and these without `fresh`.

    What is not of `generate` is refused with `fresh` too: a thesis beside the pictures must not be lost to a typo.

    Parameters
    ----------
    out : Path
        Absent, or a folder.
    fresh : bool
        Whether files of an earlier generator may be replaced.

    Raises
    ------
    ValueError
        If `out` cannot be written to, holds other files, or holds a generator and `fresh` is false.
    """
    check_can_hold_files(out)
    held = sorted(file.name for file in out.iterdir()) if out.exists() else []
    if foreign := [name for name in held if name not in FILES]:
        raise ValueError(f"{out} holds what is not of magdg generate ({name_some(foreign)}): choose another folder.")
    if held and not fresh:
        raise ValueError(f"{out} holds an earlier generator: choose another folder, or replace it with `fresh=True`.")


def write_folder(out, gan, figures, quality):
    """Write the pictures, the generator and its numbers, each file whole or not at all.

    Parameters
    ----------
    out : Path
        Made if absent.
    gan : DCGAN
        Fitted.
    figures : dict
        Name of a file -> `matplotlib.figure.Figure`, which is closed.
    quality : dict
        Plain JSON.
    """
    out.mkdir(parents=True, exist_ok=True)
    # goes first and comes last, so that it never stands beside another generator's files
    (out / QUALITY).unlink(missing_ok=True)
    for name, figure in figures.items():
        with whole_file(out / name) as file:
            figure.savefig(file, format="png", dpi=110)
        plt.close(figure)  # pyplot keeps every figure that it made
    save_model(gan, out / MODEL)
    write_json(out / QUALITY, quality, indent=2)
