"""What a study is asked to do: every setting that changes its results, declared once.

A setting is a field of a dataclass, made by `setting`: its name, type, default, meaning, and whom it is given to. The
docstring's parameters (`documented`), the keyword arguments of estimators (`CollectionConfig.arguments_of`), the
options of the command line and the options that its error messages name are read from these fields.
"""

from dataclasses import asdict, dataclass, field, fields
from inspect import cleandoc, signature
from textwrap import fill, indent
from types import NoneType, UnionType
from typing import Literal, get_args, get_origin

# headings under which `--help` puts the options
DATA, NETS, GAN = "Data", "Nets", "GAN"

# what a setting of every classifier is given to
CLASSIFIERS = ("CNNClassifier", "GradientReversalClassifier")


def setting(default, text, *, more="", panel=None, only=None, to=(), named=None, kw_only=False, **option):
    """Field of one setting.

    Parameters
    ----------
    default : object
    text : str
        What it means, in a sentence or two: for `--help` and for the docstring.
    more : str, default=""
        What only callers from Python need to know; it follows `text` in the docstring.
    panel : str, default=None
        Heading of its options in `--help`; None is the general one.
    only : {"files", "tissue"}, default=None
        The one source of images to which it applies; None is both.
    to : tuple of str, default=()
        Names of the estimators, splitters and functions that are given it.
    named : str, default=None
        What they call it, where that is not the setting's own name; error messages then speak of this parameter.
    kw_only : bool, default=False
        Whether it comes last, after the settings of subclasses too.
    **option : object
        What `typer.Option` is given besides: `min`, `metavar`.
    """
    metadata = {"text": text, "more": more, "panel": panel, "only": only, "to": to, "named": named, "option": option}
    return field(default=default, kw_only=kw_only, metadata=metadata)


def threads_of(*receivers):
    """The setting `threads` of a config that gives it to these."""
    text, more = "Threads; default torch's own number.", "No part of `identity`."
    return setting(None, text, more=more, to=receivers, named="n_jobs", kw_only=True, min=1)


def documented(config):
    """Class decorator: a dataclass of settings gets the section "Parameters", behind the docstring's first lines."""
    summary, _, rest = cleandoc(config.__doc__).partition("\n\n")
    lines = [summary, "", "Parameters", "----------"]
    settings = {each.name: each for each in fields(config)}
    for name in signature(config).parameters:
        each, facts = settings[name], settings[name].metadata
        bound = f", at least {facts['option']['min']}" if "min" in facts["option"] else ""
        # under the same name, the text says enough
        given = f"It is `{facts['named']}` of {', '.join(f'`{to}`' for to in facts['to'])}." if facts["to"] else ""
        given = given if facts["named"] else ""
        meaning = " ".join(filter(None, (facts["text"], facts["more"], given)))
        lines.append(f"{name} : {_type_in_words(each.type)}{bound}, default={each.default!r}")
        lines.append(indent(fill(meaning, 110), "    "))
    config.__doc__ = "\n".join([*lines, "", rest])
    return config


def _type_in_words(kind):
    """A field's type as numpydoc writes it: "int or None", "{'a', 'b'}", "tuple of str"."""
    if get_origin(kind) is Literal:
        return "{" + ", ".join(map(repr, get_args(kind))) + "}"
    if get_origin(kind) is tuple:
        return f"tuple of {_type_in_words(get_args(kind)[0])}"
    if isinstance(kind, UnionType):
        return " or ".join(map(_type_in_words, get_args(kind)))
    return "None" if kind is NoneType else kind.__name__


@documented
@dataclass(frozen=True)
class CollectionConfig:
    """Which images, and the settings that apply to them."""

    data: str | None = setting(
        None,
        "Folder of BreaKHis, or a CSV, TSV or Parquet manifest.",
        more="None renders tissue (`make_histology`).",
        panel=DATA,
        only="files",
    )
    target: Literal["label", "subtype"] = setting("label", "Classes of BreaKHis.", panel=DATA, only="files")
    patient_by: Literal["accession", "slide"] = setting(
        "accession", "What is a patient of BreaKHis.", panel=DATA, only="files"
    )
    skip_damaged: bool = setting(
        False,
        "Leave images out that cannot be read.",
        more="Otherwise the first of them is an error.",
        panel=DATA,
        only="files",
        named='on_damaged="skip"',
    )
    n_patients: int = setting(24, "Rendered patients.", panel=DATA, only="tissue", to=("make_histology",))
    images_per_cell: int = setting(
        6, "Rendered images per patient and magnification.", panel=DATA, only="tissue", to=("make_histology",)
    )
    threads: int | None = threads_of("DCGAN")

    def identity(self):
        """The settings that decide the numbers."""
        settings = asdict(self)
        del settings["threads"]
        return settings

    def settings(self):
        """The settings that apply, for people to read: those of rendered tissue, or those of files."""
        other = "files" if self.data is None else "tissue"
        beside = {each.name for each in fields(self) if each.metadata["only"] == other}
        return {name: value for name, value in self.identity().items() if name not in beside}

    def arguments_of(self, receiver):
        """Keyword arguments of a class or function, from the settings that are given to it.

        Parameters
        ----------
        receiver : type or callable
            An estimator's class, say. The settings know it by its ``__name__``, so that no room has to be imported.

        Returns
        -------
        arguments : dict
            Empty if no setting is given to it.

        Examples
        --------
        >>> from sklearn_magdg.datasets import make_histology
        >>> from sklearn_magdg.study import StudyConfig
        >>> StudyConfig(n_patients=7, seed=3).arguments_of(make_histology)  # doctest: +NORMALIZE_WHITESPACE
        {'n_patients': 7, 'images_per_cell': 6, 'shift': 1.0, 'class_sep': 1.0, 'image_size': 64,
         'random_state': 3}
        """
        given = [each for each in fields(self) if receiver.__name__ in each.metadata["to"]]
        return {each.metadata["named"] or each.name: getattr(self, each.name) for each in given}


@documented
@dataclass(frozen=True)
class StudyConfig(CollectionConfig):
    """Settings of `run_study`.

    Examples
    --------
    >>> from sklearn_magdg.study import StudyConfig
    >>> config = StudyConfig(methods=("baseline",), held_out=(100, 200), epochs=3)
    >>> config.identity()["held_out"]
    [100, 200]
    """

    threads: int | None = threads_of(*CLASSIFIERS, "DCGAN")
    shift: float = setting(
        1.0, "How much rendered magnifications differ.", panel=DATA, only="tissue", to=("make_histology",)
    )
    class_sep: float = setting(
        1.0, "How much rendered classes differ.", panel=DATA, only="tissue", to=("make_histology",)
    )
    methods: tuple[str, ...] = setting(
        ("baseline", "gan", "gradient-reversal"),
        "Methods to compare; also conditional, coral, mmd, vrex, group_dro.",
    )
    held_out: tuple[int | str, ...] | None = setting(
        None,
        "Magnifications to leave out; default all.",
        to=("LeaveOneMagnificationOut",),
        named="magnifications",
    )
    folds: int = setting(
        5,
        "Patient folds per held-out magnification.",
        to=("LeaveOneMagnificationOut",),
        named="n_patient_folds",
        min=1,
    )
    image_size: int = setting(64, "Side of the images in pixels.", panel=NETS, to=("make_histology", "DCGAN"), min=8)
    backbone: str = setting("auto", "'auto' (a small CNN) or a torchvision model.", panel=NETS, to=CLASSIFIERS)
    weights: str | None = setting(
        None, "'imagenet' (downloads) or the path of a state dict.", panel=NETS, to=CLASSIFIERS
    )
    trainable: Literal["all", "last_block", "head"] = setting("all", "What trains.", panel=NETS, to=CLASSIFIERS)
    augment: str | None = setting(None, "'histology' or nothing.", panel=NETS, to=CLASSIFIERS)
    epochs: int = setting(20, "Epochs of every classifier.", panel=NETS, to=CLASSIFIERS, named="max_epochs", min=1)
    batch_size: int = setting(32, "Images per step.", panel=NETS, to=CLASSIFIERS, min=2)
    lr: float = setting(1e-3, "Learning rate.", panel=NETS, to=CLASSIFIERS)
    weight_decay: float = setting(
        1e-4, "Of AdamW; a head on frozen features wants some 30.", panel=NETS, to=CLASSIFIERS, min=0
    )
    reversal_strength: float = setting(
        1.0, "Of gradient reversal.", panel=NETS, to=("GradientReversalClassifier",), min=0
    )
    domain_weight: float = setting(1.0, "Of gradient reversal.", panel=NETS, to=("GradientReversalClassifier",), min=0)
    gan_epochs: int = setting(100, "Epochs of the GAN.", panel=GAN, to=("DCGAN",), named="max_epochs", min=1)
    gan_width: int = setting(16, "Channels of its narrowest layer.", panel=GAN, to=("DCGAN",), named="width", min=1)
    gan_ratio: float = setting(
        1.0, "Generated images per real one.", panel=GAN, to=("GANAugmentedClassifier",), named="ratio", min=0
    )
    signature_fraction: float = setting(
        0.5,
        "Share of training patients kept from the honest signature's encoder.",
        more="Between 0 and 1, both excluded.",
    )
    seed: int = setting(
        0,
        "Decides everything random.",
        to=(*CLASSIFIERS, "GANAugmentedClassifier", "LeaveOneMagnificationOut", "make_histology"),
        named="random_state",
    )

    def identity(self):
        """As plain JSON: a run resumes only where they agree."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in super().identity().items()}
