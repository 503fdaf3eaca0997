"""What the commands print: sentences, tables, and how far a run is."""

import time

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as RichTable

from sklearn_magdg._metadata import magnification_text

console = Console()
if not console.is_terminal:
    console = Console(width=160)  # a file or a log does not wrap tables


def print_plainly(text):
    """Print `text` as it is: square brackets are no markup, and a path is never broken over two lines."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def print_table(table):
    """Print a `Table` as Markdown; a narrow terminal does without its spare columns, rather than cut all short."""
    print_plainly(f"\n**{table.title}**: {table.note}\n")
    widths = [max(map(len, cells)) + len(" | ") for cells in zip(table.header, *table.rows, strict=True)]
    columns = list(range(len(widths)))  # by number, as `spare` has them
    for spare in table.spare:
        if sum(widths[column] for column in columns) < console.width:
            break
        columns.remove(spare)
    shown = RichTable(*(table.header[column] for column in columns), box=box.MARKDOWN)
    for row in table.rows:
        shown.add_row(*(row[column] for column in columns))
    console.print(shown, highlight=False)


def print_main(tables, remark=None):
    """Print the main ones of some tables, and what to know of them all."""
    for table in tables:
        if table.is_main:
            print_table(table)
    if remark is not None:
        print_plainly(f"\n{remark}")


class Watch:
    """Settings at the start, then a progress bar with the time left, or a line a fold where none can be drawn.

    Its methods are what `run_study` calls as it goes on.

    Parameters
    ----------
    config : StudyConfig
    """

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
        """Print what is going to be run: of `total` fits `done` were finished before."""
        console.print(data.description, highlight=False)
        for name, value in self.config.settings().items():
            console.print(f"  {name} = {value}", highlight=False, markup=False)
        n_methods = len(self.config.methods)
        shared = " and a shared encoder each" if total > len(folds) * n_methods else ""
        sizes = f"{len(folds)} folds x {n_methods} methods{shared}"
        console.print(f"{sizes} = {total} runs, {done} of them finished before", highlight=False)
        # what was finished before took no time now: the rest is judged without it
        self.total, self.before, self.done, self.started = total, done, done, time.perf_counter()
        self.task = self.progress.add_task("training", total=total, completed=done)

    def begin(self, method, fold):
        """Name the fit that begins; the fold of a shared encoder is None."""
        place = (
            "shared encoder" if fold is None else f"{magnification_text(fold.held_out)} held out, fold {fold.number}"
        )
        self.text = f"{method}, {place}"
        self.progress.update(self.task, description=self.text)

    def advance(self, method, fold, result):
        """Tell what came of a fit and how long the rest may take; a shared encoder has no scores."""
        self.done += 1
        self.progress.update(self.task, advance=1)
        if console.is_terminal:  # the bar says it
            return
        if fold is None:
            outcome, seconds = f"{len(result['signatures'])} signatures", result["seconds"]
        else:
            scores = result["scores"]
            outcome, seconds = f"AUC {scores['auc']:.3f}, Brier {scores['brier']:.3f}", scores["seconds"]
        spent = time.perf_counter() - self.started
        left = spent / (self.done - self.before) * (self.total - self.done)
        console.print(
            f"[{self.done}/{self.total}] {self.text}: {outcome} ({seconds:.0f} s; about {left / 60:.0f} min left)",
            highlight=False,
            markup=False,
        )
