"""The commands of `magdg`."""

import time
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as RichTable

from sklearn_magdg import __version__
from sklearn_magdg.study._config import GenerateConfig, StudyConfig
from sklearn_magdg.study._tables import (
    difference_note,
    difference_tables,
    magnification_name,
    overlap_warning,
    tables,
)

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Magnification-invariant classification of microscopy images.",
)
console = Console()
if not console.is_terminal:
    console = Console(width=160)  # a file or a log does not wrap tables


class Target(StrEnum):
    label = "label"
    subtype = "subtype"


class PatientBy(StrEnum):
    accession = "accession"
    slide = "slide"


class Duplicates(StrEnum):
    identical = "identical"
    near = "near"
    none = "none"


class Trainable(StrEnum):
    all = "all"
    last_block = "last_block"
    head = "head"


def _show_version(wanted: bool):
    if wanted:
        console.print(__version__, highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True)] = False,
):
    pass


_DEFAULT, _GENERATE = StudyConfig(), GenerateConfig()
_DATA, _NET, _GAN, _ENCODER = "Data", "Nets", "GAN", "Encoder that measures"


def _option(text, panel=None, **more):
    return typer.Option(help=text, rich_help_panel=panel, **more)


@app.command()
def run(
    data: Annotated[str | None, _option("Folder of BreaKHis, or a CSV, TSV or Parquet manifest.", _DATA)] = None,
    synthetic: Annotated[bool, _option("Render tissue instead (make_histology).", _DATA)] = False,
    methods: Annotated[str, _option("Comma-separated; also conditional, coral, mmd, vrex, group_dro.")] = ",".join(
        _DEFAULT.methods
    ),
    held_out: Annotated[str | None, _option("Comma-separated magnifications to leave out; default all.")] = None,
    folds: Annotated[int, _option("Patient folds per held-out magnification.", min=1)] = _DEFAULT.folds,
    target: Annotated[Target, _option("Classes of BreaKHis.", _DATA)] = Target.label,
    patient_by: Annotated[PatientBy, _option("What is a patient of BreaKHis.", _DATA)] = PatientBy.accession,
    skip_damaged: Annotated[bool, _option("Leave images out that cannot be read.", _DATA)] = False,
    n_patients: Annotated[int, _option("Rendered patients.", _DATA)] = _DEFAULT.n_patients,
    images_per_cell: Annotated[
        int, _option("Rendered images per patient and magnification.", _DATA)
    ] = _DEFAULT.images_per_cell,
    shift: Annotated[float, _option("How much rendered magnifications differ.", _DATA)] = _DEFAULT.shift,
    class_sep: Annotated[float, _option("How much rendered classes differ.", _DATA)] = _DEFAULT.class_sep,
    image_size: Annotated[int, _option("Side of the images in pixels.", _NET, min=8)] = _DEFAULT.image_size,
    backbone: Annotated[str, _option("'auto' (a small CNN) or a torchvision model.", _NET)] = _DEFAULT.backbone,
    weights: Annotated[str | None, _option("'imagenet' (downloads) or the path of a state dict.", _NET)] = None,
    trainable: Annotated[Trainable, _option("What trains.", _NET)] = Trainable.all,
    augment: Annotated[str | None, _option("'histology' or nothing.", _NET)] = None,
    epochs: Annotated[int, _option("Epochs of every classifier.", _NET, min=1)] = _DEFAULT.epochs,
    batch_size: Annotated[int, _option("Images per step.", _NET, min=2)] = _DEFAULT.batch_size,
    lr: Annotated[float, _option("Learning rate.", _NET)] = _DEFAULT.lr,
    weight_decay: Annotated[float, _option("Of AdamW; a head on frozen features wants some 30.", _NET, min=0)] = (
        _DEFAULT.weight_decay
    ),
    reversal_strength: Annotated[float, _option("Of gradient reversal.", _NET, min=0)] = _DEFAULT.reversal_strength,
    domain_weight: Annotated[float, _option("Of gradient reversal.", _NET, min=0)] = _DEFAULT.domain_weight,
    gan_epochs: Annotated[int, _option("Epochs of the GAN.", _GAN, min=1)] = _DEFAULT.gan_epochs,
    gan_width: Annotated[int, _option("Channels of its narrowest layer.", _GAN, min=1)] = _DEFAULT.gan_width,
    gan_ratio: Annotated[float, _option("Generated images per real one.", _GAN, min=0)] = _DEFAULT.gan_ratio,
    signature_fraction: Annotated[
        float, _option("Share of training patients kept from the honest signature's encoder.")
    ] = _DEFAULT.signature_fraction,
    seed: Annotated[int, _option("Decides everything random.")] = _DEFAULT.seed,
    threads: Annotated[int | None, _option("Threads; default torch's own number.", min=1)] = None,
    out: Annotated[Path, _option("Folder for the results.")] = Path("runs/study"),
    fresh: Annotated[bool, _option("Delete another run's results in the folder first.")] = False,
):
    """Run the whole study: every method on every held-out magnification and patient fold."""
    _refuse_two_sources(data, synthetic)
    settings = {name: value for name, value in locals().items() if name in StudyConfig.__dataclass_fields__}
    settings |= {"methods": tuple(dict.fromkeys(_names(methods))), "held_out": _magnifications(held_out)}
    settings |= {"target": target.value, "patient_by": patient_by.value, "trainable": trainable.value}
    with _one_sentence(f"the finished folds are kept in {out}"):
        _run(StudyConfig(**settings), out, fresh)


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="Folder of a finished run.")]):
    """Write figures and report.html of a finished run again, and print its tables."""
    with _one_sentence(f"the finished folds are kept in {folder}"):
        _finish(folder)


@app.command()
def audit(
    collection: Annotated[str, typer.Argument(help="Folder of BreaKHis, or a CSV, TSV or Parquet manifest.")],
    held_out: Annotated[str | None, _option("Comma-separated magnifications to leave out; default all.")] = None,
    folds: Annotated[int, _option("Folds of every splitter; patient folds per held-out magnification.", min=1)] = (
        _DEFAULT.folds
    ),
    duplicates: Annotated[
        Duplicates, _option("Images to look for on both sides: of equal pixels, also near ones, or none.")
    ] = Duplicates.identical,
    target: Annotated[Target, _option("Classes of BreaKHis.")] = Target.label,
    patient_by: Annotated[PatientBy, _option("What is a patient of BreaKHis.")] = PatientBy.accession,
    skip_damaged: Annotated[bool, _option("Leave images out that cannot be read.")] = False,
    seed: Annotated[int, _option("Shuffles the folds, as in a run.")] = _DEFAULT.seed,
):
    """Tell what usual ways of splitting a collection leak from training to test, and what the study's folds do."""
    settings = {"data": collection, "held_out": _magnifications(held_out), "folds": folds, "seed": seed}
    settings |= {"target": target.value, "patient_by": patient_by.value, "skip_damaged": skip_damaged}
    with _one_sentence():
        _audit(StudyConfig(**settings), None if duplicates is Duplicates.none else duplicates.value)


def _audit(config, duplicates):
    from sklearn_magdg.study._audit import audit_collection, details, overview, reading

    found = audit_collection(config, duplicates)
    console.print(found.description, highlight=False, markup=False)
    _print_table(overview(found))
    for sentence in reading(found):
        _print_plainly(f"\n{_as_options(sentence)}")
    folds = details(found)
    if folds is not None:
        _print_table(folds)


@app.command()
def generate(
    data: Annotated[str | None, _option("Folder of BreaKHis, or a CSV, TSV or Parquet manifest.", _DATA)] = None,
    synthetic: Annotated[bool, _option("Render tissue instead (make_histology).", _DATA)] = False,
    magnification: Annotated[str | None, _option("Comma-separated ones to learn; default all.", _DATA)] = None,
    target: Annotated[Target, _option("Classes of BreaKHis.", _DATA)] = Target.label,
    patient_by: Annotated[PatientBy, _option("What is a patient of BreaKHis.", _DATA)] = PatientBy.accession,
    skip_damaged: Annotated[bool, _option("Leave images out that cannot be read.", _DATA)] = False,
    n_patients: Annotated[int, _option("Rendered patients.", _DATA)] = _GENERATE.n_patients,
    images_per_cell: Annotated[
        int, _option("Rendered images per patient and magnification.", _DATA)
    ] = _GENERATE.images_per_cell,
    held_back: Annotated[
        float, _option("Share of the patients that the generator never sees and is measured against.", _DATA)
    ] = _GENERATE.held_back,
    tiles: Annotated[
        int, _option("Squeeze images to squares, cut them into N x N tiles, learn these.", _DATA, min=1, metavar="N")
    ] = _GENERATE.tiles,
    image_size: Annotated[
        int, _option("Side of an image or tile in pixels, a multiple of 16 from 32 to 128.", _GAN)
    ] = _GENERATE.image_size,
    epochs: Annotated[int, _option("Epochs of the GAN.", _GAN, min=1)] = _GENERATE.epochs,
    width: Annotated[int, _option("Channels of its narrowest layer.", _GAN, min=1)] = _GENERATE.width,
    backbone: Annotated[str, _option("'random' or a torchvision model.", _ENCODER)] = _GENERATE.backbone,
    weights: Annotated[str | None, _option("'imagenet' (downloads) or the path of a state dict.", _ENCODER)] = None,
    n_images: Annotated[int, _option("Images of each class and magnification in the pictures.", min=1)] = (
        _GENERATE.n_images
    ),
    seed: Annotated[int, _option("Decides everything random.")] = _GENERATE.seed,
    threads: Annotated[int | None, _option("Threads; default torch's own number.", min=1)] = None,
    out: Annotated[Path, _option("Folder for the results.")] = Path("runs/generate"),
    fresh: Annotated[bool, _option("Replace an earlier generator in the folder.")] = False,
):
    """Fit a DCGAN on a part of the patients and tell how good its samples are beside images of the others."""
    _refuse_two_sources(data, synthetic)
    settings = {name: value for name, value in locals().items() if name in GenerateConfig.__dataclass_fields__}
    settings |= {"magnification": _magnifications(magnification), "target": target.value}
    settings |= {"patient_by": patient_by.value}
    with _one_sentence():
        _generate(GenerateConfig(**settings), out, fresh)


def _generate(config, out, fresh):
    from sklearn_magdg.generation._generate import FILES, generate, quality_table, reading

    quality = generate(config, out, fresh=fresh, on_step=_print_plainly)
    _print_table(quality_table(quality))
    for sentence in [*reading(quality), *(f"Warning: {_as_options(text)}" for text in quality["warnings"])]:
        _print_plainly(f"\n{sentence}")
    _print_plainly("\n" + "\n".join(f"{out / name}: {what}" for name, what in FILES.items()))


@app.command()
def fetch(
    data_home: Annotated[Path | None, _option("Folder for data sets; default scikit-learn's.")] = None,
    retries: Annotated[int, _option("Attempts without progress after a first one.", min=1)] = 3,
):
    """Download BreaKHis (4.3 GB) and check that it is complete; a download that was cut goes on."""
    with _one_sentence("what came so far is kept"):
        _fetch(data_home, retries)


def _fetch(data_home, retries):
    import shlex

    from sklearn_magdg.datasets import breakhis_folder, fetch_breakhis

    bunch = fetch_breakhis(data_home=data_home, n_retries=retries)
    folder = str(breakhis_folder(data_home))
    lines = f"{len(bunch.data):,} images in {folder}", f"Next: magdg run --data {shlex.quote(folder)}"
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _run(config, out, fresh):
    from sklearn_magdg.study._run import run_study  # brings torch

    watch = _Watch(config)
    with watch.progress:
        run_study(config, out, fresh=fresh, on_start=watch.start, on_begin=watch.begin, on_fold=watch.advance)
    _finish(out)


def _finish(out):
    from sklearn_magdg.study._report import write_report
    from sklearn_magdg.study._results import read_summary

    page = write_report(out)
    summary = read_summary(out)
    *scores, overlap = tables(summary)
    _print_main(scores)
    _print_main(difference_tables(summary), difference_note(summary))
    _print_main([overlap], overlap_warning(summary))
    console.print(f"\nAll tables and figures: {page}", highlight=False)


def _print_plainly(text):
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _print_main(tables, remark=None):
    """The main ones of some tables, and what to know of them all."""
    for table in tables:
        if table.is_main:
            _print_table(table)
    if remark is not None:
        _print_plainly(f"\n{remark}")


def _print_table(table):
    _print_plainly(f"\n**{table.title}**: {table.note}\n")
    columns = _columns_that_fit(table)
    shown = RichTable(*(table.header[column] for column in columns), box=box.MARKDOWN)
    for row in table.rows:
        shown.add_row(*(row[column] for column in columns))
    console.print(shown, highlight=False)


def _columns_that_fit(table):
    """Numbers of the columns to print: a narrow terminal does without some, rather than cut all short."""
    widths = [max(map(len, cells)) + len(" | ") for cells in zip(table.header, *table.rows, strict=True)]
    columns = list(range(len(widths)))
    for spare in table.spare:
        if sum(widths[column] for column in columns) < console.width:
            break
        columns.remove(spare)
    return columns


class _Watch:
    """Settings at the start, then a progress bar with the time left, or a line a fold where none can be drawn."""

    def __init__(self, config):
        self.config = config
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            speed_estimate_period=24 * 3600,  # folds differ: judge by all of them
        )

    def start(self, data, folds, total, done):
        console.print(data.description, highlight=False)
        for name, value in self.config.settings().items():
            console.print(f"  {name} = {value}", highlight=False, markup=False)
        n_methods = len(self.config.methods)
        shared = " and a shared encoder each" if total > len(folds) * n_methods else ""
        sizes = f"{len(folds)} folds x {n_methods} methods{shared}"
        console.print(f"{sizes} = {total} runs, {done} of them finished before", highlight=False)
        self.total, self.before, self.done, self.started = total, done, done, time.perf_counter()
        self.task = self.progress.add_task("training", total=total, completed=done)

    def begin(self, method, fold):
        self.text = f"{method}, {_fold_name(fold)}"
        self.progress.update(self.task, description=self.text)

    def advance(self, method, fold, result):
        self.done += 1
        self.progress.update(self.task, advance=1)
        if not console.is_terminal:
            spent = time.perf_counter() - self.started
            left = spent / (self.done - self.before) * (self.total - self.done)
            outcome, seconds = _outcome(result)
            console.print(
                f"[{self.done}/{self.total}] {self.text}: {outcome} ({seconds:.0f} s; about {left / 60:.0f} min left)",
                highlight=False,
                markup=False,
            )


def _fold_name(fold):
    if fold is None:
        return "shared encoder"
    return f"{magnification_name(fold.held_out)} held out, fold {fold.number}"


def _outcome(result):
    """What came of a fit, and the seconds it took; a shared encoder has no scores."""
    if "scores" not in result:
        return f"{len(result['signatures'])} signatures", result["seconds"]
    scores = result["scores"]
    return f"AUC {scores['auc']:.3f}, Brier {scores['brier']:.3f}", scores["seconds"]


@contextmanager
def _one_sentence(kept=None):
    """Errors that a user can mend end the command with one sentence and status 2; an interrupt with 130."""
    try:
        yield
    except (ValueError, OSError, ImportError) as error:
        typer.echo(f"Error: {_as_options(str(error))}", err=True)
        raise typer.Exit(2) from error
    except KeyboardInterrupt:
        onward = f": {kept}; the same command goes on" if kept else ""
        typer.echo(f"Interrupted{onward}.", err=True)
        raise typer.Exit(130) from None


# What the library calls its parameters, as the command line spells them.
_OPTIONS = {
    "`n_patient_folds`": "--folds",
    "`magnifications` holds out": "--held-out names",
    "`magnifications`": "--held-out",
    "set `root` to the folder to which the paths refer": "paths are read from the table's folder",
    "name the columns to read by `path`, `target`, `patient` and `magnification`": "rename its columns to path, "
    "target, patient and magnification, separated by commas (tabs in a .tsv)",
    "`magnification` names": "--magnification names",
    "`held_back`": "--held-back",
    "`image_size`": "--image-size",
    "`max_epochs`": "--epochs",
    "`backbone`": "--backbone",
    "`weights`": "--weights",
    "'augment' parameter": "--augment option",
    "'lr' parameter": "--lr option",
    "`data_home`": "--data-home",
    "`sklearn_magdg.images.readable_images(paths)` is the mask of the files that can be read, and the loaders of "
    '`sklearn_magdg.datasets` drop the others with on_damaged="skip"': "--skip-damaged does so for all of them",
    " (fresh=True)": "",
}


def _as_options(message):
    for parameter, option in _OPTIONS.items():
        message = message.replace(parameter, option)
    return message


def _refuse_two_sources(data, synthetic):
    if synthetic == (data is not None):
        raise typer.BadParameter("give either --data PATH or --synthetic.")


def _names(text):
    return [name.strip() for name in text.split(",") if name.strip()]


def _magnifications(text):
    if text is None:
        return None
    return tuple(int(name) if name.isdigit() else name for name in _names(text))  # "100X" and "2.5" stay text
