"""The whole study in one call: protocol, methods, signatures, results."""

from sklearn_magdg.study._config import StudyConfig

__all__ = ["StudyConfig", "run_study"]


def __getattr__(name):
    if name == "run_study":  # brings torch, which `magdg --help` and `magdg report` do without
        from sklearn_magdg.study._run import run_study

        return run_study
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
