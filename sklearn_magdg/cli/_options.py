"""From settings to options of the command line, and back from the parameters in error messages to options."""

import re
from contextlib import contextmanager
from dataclasses import fields
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, get_args, get_origin

import typer


def option(text, panel=None, **more):
    """`typer.Option` of a command's own parameter: `text` is its help, `panel` the heading it stands under."""
    return typer.Option(help=text, rich_help_panel=panel, **more)


def with_settings(config_class, *, chosen=None, kept=None):
    """Decorator of a command that takes a `config_class`: on the command line it takes the settings one by one.

    typer reads a command's options from its signature, in which the parameter ``config`` is replaced, where it stands,
    by an option for every setting. All parameters are keyword-only. Errors end the command as in `one_sentence`.

    Parameters
    ----------
    config_class : type
        Dataclass whose fields are made by `sklearn_magdg.study.setting`.
    chosen : dict, default=None
        Names of the settings to offer, in order, and the help where it differs, else None; a short list like this
        has no headings. None offers all.
    kept : str, default=None
        What an interrupted command keeps; may name the command's own parameters in braces.
    """

    def decorate(command):
        settings = {each.name: each for each in fields(config_class)}
        # the signature, unlike the fields, has keyword-only settings of a base class last
        offered = chosen or dict.fromkeys(signature(config_class).parameters)
        options = [_option_of(settings[name], text, panels=chosen is None) for name, text in offered.items()]
        own = list(signature(command).parameters.values())
        place = [each.name for each in own].index("config")

        @wraps(command)
        def take_options(**given):
            # what is left in `given` are the command's own parameters
            chosen_values = {name: given.pop(name) for name in offered}
            with one_sentence(option_names(config_class, *given), kept and kept.format(**given)):
                values = {name: _value_of(settings[name], value) for name, value in chosen_values.items()}
                command(config=config_class(**values), **given)

        # what inspect.signature finds here it prefers to the parameters of the function itself
        parameters = [*own[:place], *options, *own[place + 1 :]]
        take_options.__signature__ = signature(command).replace(parameters=parameters)
        return take_options

    return decorate


def _option_of(field, text, panels):
    """Parameter of a command for one setting; several values come as text with commas."""
    kind, default, facts = field.type, field.default, field.metadata
    text = text or facts["text"]
    if _of_each(kind) is not None:  # as one text, for an option that takes several values would swallow what follows
        kind, default = (str, ",".join(default)) if default else (str | None, None)
        text = f"Comma-separated {text[0].lower()}{text[1:]}"
    declared = option(text, facts["panel"] if panels else None, **facts["option"])
    return Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, declared])


def _value_of(field, given):
    """What was given for a setting: names at commas, each once; magnifications as numbers where they are digits.

    Magnifications like "100X" and "2.5" stay text, which means the same to the study. One that is named twice is left
    to it, which has a sentence for that.
    """
    if given is None or _of_each(field.type) is None:
        return given
    names = [name.strip() for name in given.split(",") if name.strip()]
    of_one = _of_each(field.type)
    if int in (of_one, *get_args(of_one)):
        return tuple(int(name) if name.isdecimal() else name for name in names)
    return tuple(dict.fromkeys(names))


def _of_each(kind):
    """Type of each of several values, for a tuple or a tuple or None; None for a setting of one value."""
    tuples = [each for each in (kind, *get_args(kind)) if get_origin(each) is tuple]
    return get_args(tuples[0])[0] if tuples else None


def option_names(config_class, *own):
    """Option by the parameters that it sets, of any room: ``{"folds": "--folds", "n_patient_folds": "--folds", ...}``.

    Parameters
    ----------
    config_class : type or None
        Dataclass of settings. Where two of them set parameters of one name, as epochs of the nets and of the GAN
        do, the name alone means the first; ``"DCGAN.max_epochs"`` tells them apart.
    *own : str
        Parameters of the command that are no settings.
    """
    # set to True they are flags, which have no value on the command line
    names = {key: name for name in own for key in (name, f"{name}=True")}
    for each in fields(config_class) if config_class else ():
        parameter = each.metadata["named"] or each.name
        for key in (each.name, parameter, *(f"{receiver}.{parameter}" for receiver in each.metadata["to"])):
            names.setdefault(key, each.name)
    return {key: f"--{name.replace('_', '-')}" for key, name in names.items()}


def as_options(message, names):
    """`message`, where a parameter that an option sets is called by that option.

    A parameter is what stands in backquotes, alone or with its value, and in scikit-learn's sentences about invalid
    ones what stands before "parameter of" a class; others stay as they are.

    Parameters
    ----------
    message : str
    names : dict
        Of `option_names`.

    Examples
    --------
    >>> from sklearn_magdg.cli._options import as_options, option_names
    >>> from sklearn_magdg.study import StudyConfig
    >>> names = option_names(StudyConfig, "out")
    >>> as_options("lower `n_patient_folds` or `n_clusters`", names)
    'lower --folds or `n_clusters`'
    >>> as_options("The 'max_epochs' parameter of DCGAN must be an int", names)
    'The --gan-epochs option of DCGAN must be an int'
    """

    def called(match):
        quoted, parameter, owner = match.groups()
        if quoted:
            return names.get(quoted, match[0])
        # of this class alone: what no setting gives to it has no option, whoever else has a parameter of that name
        found = names.get(f"{owner}.{parameter}")
        return f"{found} option of {owner}" if found else match[0]

    return re.sub(r"`([^`]+)`|'(\w+)' parameter of (\w+)", called, message)


@contextmanager
def one_sentence(names, kept=None):
    """Errors that a user can mend end the command with one sentence and status 2; an interrupt with 130.

    Parameters
    ----------
    names : dict
        Of `option_names`.
    kept : str, default=None
        What is kept of an interrupted command, so that the same one goes on.
    """
    try:
        yield
    except (ValueError, OSError, ImportError) as error:  # all else is a fault of the program: its traceback helps
        typer.echo(f"Error: {as_options(str(error), names)}", err=True)
        raise typer.Exit(2) from error
    except KeyboardInterrupt:
        onward = f": {kept}; the same command goes on" if kept else ""
        typer.echo(f"Interrupted{onward}.", err=True)
        raise typer.Exit(130) from None  # 128 + SIGINT, as shells have it
