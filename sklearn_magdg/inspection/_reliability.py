"""Reliability diagrams without bins."""

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state
from sklearn.utils.validation import _num_samples, check_is_fitted

from sklearn_magdg.cohort import as_column
from sklearn_magdg.inspection._corp import corp_numbers, forecasts_by_method
from sklearn_magdg.inspection._cv_results import as_methods, predict_tested
from sklearn_magdg.inspection._reliability_diagram import ReliabilityDiagram
from sklearn_magdg.inspection._style import axes_for
from sklearn_magdg.metrics import check_options


class ReliabilityDisplay:
    r"""CORP reliability diagram of one or several methods, over a histogram of their predictions.

    The curve is the isotonic regression of the outcome on the predicted probability; on the diagonal a forecast
    means what it says. The legend takes the Brier score apart into miscalibration (MCB), discrimination (DSC) and
    uncertainty (UNC).

    The consistency band around the diagonal, drawn where patients are given, is where the curve of calibrated
    forecasts would lie: a curve that leaves it speaks against calibration. As in [1]_ outcomes are redrawn from the
    forecasts; but images of one patient share its label, so that outcomes redrawn image by image scatter far too
    little. Here all outcomes of patient i are drawn with one uniform number,

    .. math:: y_{ij} = [u_i < p_{ij}], \quad u_i \sim U(0, 1),

    which gives every outcome the probability that was forecast and a patient's outcomes the greatest dependence that
    such probabilities allow.

    Parameters
    ----------
    curves : dict
        Method -> `(predicted, recalibrated, weight)`, arrays of shape (n_distinct_predictions,), ascending.
    decompositions : dict
        Method -> `(score, miscalibration, discrimination, uncertainty)`.
    pos_label : label
        The class of which the probabilities speak.
    bands : dict, default=None
        Method -> `(low, high)`, arrays of shape (n_distinct_predictions,). None draws no band.
    confidence_level : float, default=0.95
        Of the bands, for the legend.

    Attributes
    ----------
    ax_ : Axes
        The diagram.
    histogram_ax_ : Axes
        The histogram beneath it.
    figure_ : Figure
        Both.

    See Also
    --------
    sklearn_magdg.metrics.brier_decomposition : The numbers of the legend.
    sklearn_magdg.metrics.pool_by_patient : One forecast per patient, whose calibration is a question of its own.

    Notes
    -----
    Markers only tell several methods apart. With several methods every band has the colour and dash of its curve.

    The band is pointwise: at 95 % a calibrated curve leaves it somewhere more often than once in twenty times. With
    24 and 60 patients, simulated calibrated forecasts stayed inside at 0.95 to 0.98 of the points, whether a patient's
    images resembled each other or not; outcomes redrawn image by image gave 0.52 to 0.88, and a bootstrap of patients
    around the curve, which isotonic regression does not support [2]_, 0.63 to 0.83
    (``benchmarks/simulate_reliability_bands.py``).

    References
    ----------
    .. [1] T. Dimitriadis, T. Gneiting, A. I. Jordan, "Stable reliability diagrams for probabilistic classifiers",
       PNAS 118(8), 2021, figure 2.
    .. [2] B. Sen, M. Banerjee, M. Woodroofe, "Inconsistency of bootstrap: the Grenander estimator", Annals of
       Statistics 38(4), 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_magdg.inspection import ReliabilityDisplay
    >>> rng = np.random.default_rng(0)
    >>> p = rng.random(100)
    >>> display = ReliabilityDisplay.from_predictions(rng.random(100) < p, p, name="CNN")  # doctest: +SKIP
    """

    def __init__(self, curves, decompositions, *, pos_label, bands=None, confidence_level=0.95):
        self.curves = curves
        self.decompositions = decompositions
        self.pos_label = pos_label
        self.bands = bands
        self.confidence_level = confidence_level

    @classmethod
    def from_predictions(
        cls,
        y_true,
        y_proba,
        *,
        patient=None,
        name=None,
        groups=None,
        sample_weight=None,
        pos_label=None,
        labels=None,
        n_resamples=1000,
        confidence_level=0.95,
        random_state=None,
        ax=None,
    ):
        """Diagram of predicted probabilities, two classes.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            Labels; numbers or strings.
        y_proba : array-like of shape (n_samples,) or (n_samples, 2), or dict
            Probabilities of `pos_label`, or of both sorted labels. A dict maps each method's name to its
            probabilities of the same samples.
        patient : array-like of shape (n_samples,), default=None
            Ints or strings; draws the consistency band. None draws none.
        name : str, default=None
            Name of the one method; "predictions" if None.
        groups : array-like of shape (n_samples,), default=None
            Draws one curve per value instead (the method or the held-out magnification of every row of a table of
            predictions), in the order of first appearance; a number is read as a magnification.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of at least 0.
        pos_label : label, default=None
            The positive class. `None` is the last of the sorted labels.
        labels : array-like of 2 labels, default=None
            Both labels, where `y_true` lacks one.
        n_resamples : int, default=1000
            Redrawn sets of outcomes, at least 2 / (1 - `confidence_level`) - 1.
        confidence_level : float, default=0.95
            Share of redrawn curves inside the band at every prediction; between 0 and 1, both excluded.
        random_state : int, RandomState or None, default=None
            Seed of the redrawn outcomes.
        ax : Axes, default=None
            Axes to draw on; a new figure if None.

        Returns
        -------
        ReliabilityDisplay
            Drawn.

        Raises
        ------
        ValueError
            If there are more than two classes, if a dict is empty, if two of `name`, `groups` and a dict are given, if
            a patient or a group is missing, if a number is out of range, and as in
            `sklearn_magdg.metrics.brier_decomposition`.
        ImportError
            If matplotlib is missing.
        """
        labels = np.unique(y_true) if labels is None else np.unique(labels)
        if len(labels) > 2:
            raise ValueError(
                f"ReliabilityDisplay draws 2 classes, got {len(labels)}: {labels.tolist()}; give the indicator of one "
                "class as `y_true` and its column as `y_proba`."
            )
        check_options(n_resamples, confidence_level)
        redrawing = {"n_resamples": n_resamples, "confidence_level": confidence_level}
        # one generator for all methods, one after the other: a band depends on those drawn before it
        redrawing["random_state"] = check_random_state(random_state)
        forecasts = forecasts_by_method(y_true, y_proba, patient, name, groups, sample_weight)
        numbers = {method: corp_numbers(each, labels, pos_label, redrawing) for method, each in forecasts.items()}
        return cls(
            {method: curve for method, (curve, _, _) in numbers.items()},
            {method: decomposition for method, (_, decomposition, _) in numbers.items()},
            pos_label=labels[-1] if pos_label is None else pos_label,
            bands=None if patient is None else {method: band for method, (_, _, band) in numbers.items()},
            confidence_level=confidence_level,
        ).plot(ax)

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        patient=None,
        name=None,
        groups=None,
        sample_weight=None,
        pos_label=None,
        n_resamples=1000,
        confidence_level=0.95,
        random_state=None,
        ax=None,
    ):
        """Diagram of a fitted classifier on samples that it did not see.

        Parameters
        ----------
        estimator : fitted classifier
            With `predict_proba` and `classes_`.
        X : array-like of shape (n_samples, ...)
            Whatever the estimator takes.
        y : array-like of shape (n_samples,)
            Labels; numbers or strings.
        name : str, default=None
            Name in the legend; that of the class if None.
        patient, groups, sample_weight, pos_label, n_resamples, confidence_level, random_state, ax
            As in `from_predictions`.

        Returns
        -------
        ReliabilityDisplay
            Drawn.

        Raises
        ------
        ValueError, ImportError
            As in `from_predictions`.
        NotFittedError
            If the estimator is not fitted.
        """
        check_is_fitted(estimator)
        return cls.from_predictions(
            y,
            estimator.predict_proba(X),
            patient=patient,
            name=type(estimator).__name__ if name is None and groups is None else name,
            groups=groups,
            sample_weight=sample_weight,
            pos_label=pos_label,
            labels=estimator.classes_,
            n_resamples=n_resamples,
            confidence_level=confidence_level,
            random_state=random_state,
            ax=ax,
        )

    @classmethod
    def from_cv_results(
        cls,
        cv_results,
        X,
        y,
        *,
        patient=None,
        name=None,
        groups=None,
        sample_weight=None,
        pos_label=None,
        n_resamples=1000,
        confidence_level=0.95,
        random_state=None,
        ax=None,
    ):
        """Diagram of what every fold's estimator says of its own test part.

        Training and test part need not be all samples together, nor every sample be tested; one that is tested
        in several folds counts in each.

        Parameters
        ----------
        cv_results : dict
            As from `sklearn.model_selection.cross_validate` with `return_estimator=True, return_indices=True`, or a
            dict of several: method -> results, one curve each.
        X, y : array-like of shape (n_samples, ...) and (n_samples,)
            What was cross-validated.
        name : str, default=None
            Name of the one method; "predictions" if None.
        groups : "fold" or array-like of shape (n_samples,), default=None
            None pools the folds in one curve per method. With one method, "fold" draws a curve per fold and an array
            one per value: per held-out magnification with the magnification of every sample.
        patient, sample_weight, pos_label, n_resamples, confidence_level, random_state, ax
            As in `from_predictions`, one value per sample of `X` where they are arrays.

        Returns
        -------
        ReliabilityDisplay
            Drawn.

        Raises
        ------
        ValueError
            If the results lack estimators or indices, if folds know different classes, if several methods come
            with `groups` or `name`, if lengths differ from that of `X`, and as in `from_predictions`.
        ImportError
            If matplotlib is missing.
        """
        if name is not None and groups is not None:
            raise ValueError(f"`groups` name the curves themselves, got `name={name!r}` too; drop one of the two.")
        methods = as_methods(cv_results, name, "predictions")
        if len(methods) > 1 and groups is not None:
            raise ValueError(
                f"`groups` is for one method, got {list(methods)}; drop `groups`, or draw one after another."
            )
        tested = predict_tested(methods, X)

        def of_tested(values, name):
            return None if values is None else as_column(values, name, _num_samples(X))[tested.rows]

        if groups is None:
            groups = tested.method
        elif isinstance(groups, str) and groups == "fold":
            groups = [f"fold {fold}" for fold in tested.fold]
        else:
            groups = of_tested(groups, "groups")
        return cls.from_predictions(
            of_tested(y, "y"),
            tested.y_proba,
            patient=of_tested(patient, "patient"),
            groups=groups,
            sample_weight=of_tested(sample_weight, "sample_weight"),
            pos_label=pos_label,
            labels=tested.labels,
            n_resamples=n_resamples,
            confidence_level=confidence_level,
            random_state=random_state,
            ax=ax,
        )

    def frame(self):
        """Numbers drawn, as a table.

        Returns
        -------
        DataFrame
            Columns `method`, `predicted`, `recalibrated`, `weight` and, with a band, its ends `low` and `high`: one
            row per method and distinct prediction.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_magdg.inspection import ReliabilityDisplay
        >>> from sklearn_magdg.metrics import brier_decomposition
        >>> curve = np.array([0.2, 0.8]), np.array([0.5, 0.5]), np.array([2.0, 2.0])
        >>> parts = brier_decomposition([0, 1, 0, 1], [0.2, 0.2, 0.8, 0.8])
        >>> ReliabilityDisplay({"CNN": curve}, {"CNN": parts}, pos_label=1).frame()
          method  predicted  recalibrated  weight
        0    CNN        0.2           0.5     2.0
        1    CNN        0.8           0.5     2.0
        """
        tables = []
        for method, (predicted, recalibrated, weight) in self.curves.items():
            columns = {"method": method, "predicted": predicted, "recalibrated": recalibrated, "weight": weight}
            if self.bands:
                columns["low"], columns["high"] = self.bands[method]
            tables.append(pd.DataFrame(columns))
        return pd.concat(tables, ignore_index=True)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : Axes, default=None
            Legend, diagram and histogram share its place in the figure. A new figure if None.

        Returns
        -------
        ReliabilityDisplay
            Itself.
        """
        own_figure = ax is None
        # nearly square; a fixed aspect would be applied after the layout and push the legend out of the figure
        n_lines = 2 * len(self.curves) + 3 * bool(self.bands)
        ax = axes_for("ReliabilityDisplay", ax, (5.4, 6.3 + 0.17 * n_lines))
        self.ax_, self.figure_ = ax, ax.figure
        diagram = ReliabilityDiagram(self, ax)
        diagram.draw()
        self.histogram_ax_ = diagram.histogram_ax
        if own_figure:
            self.figure_.draw_without_rendering()  # one pass of the layout would cut the histogram's label
        return self
