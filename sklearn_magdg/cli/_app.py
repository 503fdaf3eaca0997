"""The commands of `magdg`: their own options, and what they print. All else is done by the rooms they call.

What brings torch or matplotlib is imported within a command, so that `--help` is instant.
"""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from sklearn_magdg import __version__
from sklearn_magdg.cli._options import as_options, one_sentence, option, option_names, with_settings
from sklearn_magdg.cli._printing import Watch, console, print_main, print_plainly, print_table
from sklearn_magdg.generation import GenerateConfig
from sklearn_magdg.study import StudyConfig

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a traceback of a fault as Python prints it, to be pasted whole
    help="Magnification-invariant classification of microscopy images.",
)

Synthetic = Annotated[bool, option("Render tissue (make_histology) instead of reading images.", "Data")]


@app.callback(invoke_without_command=True)
def _before_any_command(version: Annotated[bool, typer.Option("--version")] = False):
    if version:
        console.print(__version__, highlight=False)
        raise typer.Exit


@app.command()
@with_settings(StudyConfig, kept="the finished folds are kept in {out}")
def run(
    *,
    synthetic: Synthetic = False,
    config,
    out: Annotated[Path, option("Folder for the results.")] = Path("runs/study"),
    fresh: Annotated[bool, option("Delete another run's results in the folder first.")] = False,
):
    """Run the whole study: every method on every held-out magnification and patient fold."""
    _refuse_two_sources(config, synthetic)
    from sklearn_magdg.study import run_study

    watch = Watch(config)
    with watch.progress:  # which stops before the tables, or they would be drawn over
        run_study(config, out, fresh=fresh, on_start=watch.start, on_begin=watch.begin, on_fold=watch.advance)
    _finish(out)


def _refuse_two_sources(config, synthetic):
    """Rendering must be asked for: whoever forgot ``--data`` should not read numbers of made-up tissue."""
    if synthetic == (config.data is not None):
        raise typer.BadParameter("give either --data PATH or --synthetic.")


def _finish(out):
    """Write the page and the figures of a finished run, and print its main tables."""
    from sklearn_magdg.study import (
        difference_note,
        difference_tables,
        overlap_table,
        overlap_warning,
        read_summary,
        score_tables,
        write_report,
    )

    page = write_report(out)
    summary = read_summary(out)
    print_main(score_tables(summary))
    print_main(difference_tables(summary), difference_note(summary))
    print_main([overlap_table(summary)], overlap_warning(summary))
    console.print(f"\nAll tables and figures: {page}", highlight=False)


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="Folder of a finished run.")]):
    """Write figures and report.html of a finished run again, and print its tables."""
    with one_sentence({}, f"the finished folds are kept in {folder}"):
        _finish(folder)


@app.command()
@with_settings(
    StudyConfig,
    chosen={
        "held_out": None,
        "folds": "Folds of every splitter; patient folds per held-out magnification.",
        "target": None,
        "patient_by": None,
        "skip_damaged": None,
        "seed": "Shuffles the folds, as in a run.",
    },
)
def audit(
    *,
    collection: Annotated[str, typer.Argument(help="Folder of BreaKHis, or a CSV, TSV or Parquet manifest.")],
    config,
    duplicates: Annotated[
        Literal["identical", "near", "none"],
        option("Images to look for on both sides: of equal pixels, also near ones, or none."),
    ] = "identical",
):
    """Tell what usual ways of splitting a collection leak from training to test, and what the study's folds do."""
    from sklearn_magdg.study import audit_collection, audit_details, audit_overview, audit_reading

    # `collection` is an argument, not the option --data: an audit has no other source of images
    found = audit_collection(replace(config, data=collection), None if duplicates == "none" else duplicates)
    console.print(found.description, highlight=False, markup=False)
    print_table(audit_overview(found))
    for sentence in audit_reading(found):
        print_plainly(f"\n{as_options(sentence, option_names(StudyConfig))}")
    folds = audit_details(found)
    if folds is not None:  # None where the study cannot use the collection, which a sentence above says
        print_table(folds)


@app.command()
@with_settings(GenerateConfig)
def generate(
    *,
    synthetic: Synthetic = False,
    config,
    out: Annotated[Path, option("Folder for the results.")] = Path("runs/generate"),
    fresh: Annotated[bool, option("Replace an earlier generator in the folder.")] = False,
):
    """Fit a DCGAN on a part of the patients and tell how good its samples are beside images of the others."""
    _refuse_two_sources(config, synthetic)
    from sklearn_magdg.generation import FILES, generate, quality_table, reading

    quality = generate(config, out, fresh=fresh, on_step=print_plainly)
    print_table(quality_table(quality))
    for sentence in [*reading(quality), *(f"Warning: {text}" for text in quality["warnings"])]:
        print_plainly(f"\n{as_options(sentence, option_names(GenerateConfig))}")
    print_plainly("\n" + "\n".join(f"{out / name}: {what}" for name, what in FILES.items()))


@app.command()
def fetch(
    data_home: Annotated[Path | None, option("Folder for data sets; default scikit-learn's.")] = None,
    retries: Annotated[int, option("Attempts without progress after a first one.", min=1)] = 3,
):
    """Download BreaKHis (4.3 GB) and check that it is complete; a download that was cut goes on."""
    with one_sentence(option_names(None, "data_home"), "what came so far is kept"):
        from sklearn_magdg.datasets import breakhis_folder, fetch_breakhis

        bunch = fetch_breakhis(data_home=data_home, n_retries=retries)
        folder = str(breakhis_folder(data_home))
        print_plainly(f"{len(bunch.data):,} images in {folder}\nNext: magdg run --data {shlex.quote(folder)}")
