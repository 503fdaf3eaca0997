"""A classifier's probabilities as an ONNX graph."""

import copy
import json

import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklearn_magdg._files import whole_file
from sklearn_magdg.estimators import BaseNetClassifier, GANAugmentedClassifier
from sklearn_magdg.persistence._model_file import check_writable, versions


def export_onnx(estimator, path, *, opset=None):
    """Write `predict_proba` as an ONNX graph, for a program without Python or torch.

    The graph takes ``X``: images of shape (n, height, width, 3), uint8, of the size that the net was trained on
    (``input_shape_``), or features (n, n_features), float32; any n. It gives ``probabilities`` (n, n_classes),
    float32, in the order of ``classes_``. Decoding and resampling are not in the graph: other images are brought to
    the size first, by `sklearn_magdg.images.resize_images` or a resampling like it. A `GANAugmentedClassifier` brings
    images to its ``image_size_``, and its ``estimator_`` from there to its own size, if it has one.

    The graph's metadata hold ``classes`` (JSON), ``magnifications`` trained on (JSON), ``input_sizes`` (JSON: the
    sides in pixels that images are brought to, one after the other) and ``written_by`` (versions).

    Parameters
    ----------
    estimator : CNNClassifier, GradientReversalClassifier or GANAugmentedClassifier
        Fitted.
    path : str or os.PathLike
        File to write; its folder must be there. A file that stands there is replaced once the new one is whole.
    opset : int, default=None
        Version of the ONNX operators; None is that of torch's exporter, which cannot always give another.

    Raises
    ------
    ImportError
        Without the extra ``onnx``.
    TypeError
        For an estimator of another class.
    ValueError
        When the net cannot be had in the wanted `opset`.
    NotFittedError
        When `estimator` is not fitted.
    OSError
        When `path` cannot be written.

    See Also
    --------
    save_model : Keeps the estimator itself.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn_magdg.datasets import make_histology
    >>> from sklearn_magdg.estimators import CNNClassifier, export_onnx
    >>> tissue = make_histology(4, images_per_cell=2, image_size=16, random_state=0)
    >>> colours = tissue.data.mean((1, 2))
    >>> model = CNNClassifier(max_epochs=1, random_state=0).fit(colours, tissue.target)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_onnx(model, Path(folder) / "model.onnx")
    """
    if not isinstance(estimator, BaseNetClassifier | GANAugmentedClassifier):
        raise TypeError(f"export_onnx takes a classifier of this package, got {type(estimator).__name__}.")
    check_is_fitted(estimator, ["module_", "estimator_"], all_or_any=any)
    path = check_writable(path)
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'export_onnx needs onnx and onnxscript: install them with `pip install "sklearn-magdg[onnx]"`.'
        ) from error
    classifier = getattr(estimator, "estimator_", estimator)
    program = _traced(classifier, opset)
    given = program.model.opset_imports[""]
    if opset not in (None, given):  # the exporter says so in its log alone
        raise ValueError(
            f"torch's exporter cannot bring this net to opset={opset}, its own is {given}: leave `opset` at None, or "
            "choose one nearer to that."
        )
    program.model.metadata_props.update(_metadata(estimator, classifier))
    content = program.model_proto.SerializeToString()
    with whole_file(path) as file:
        file.write(content)


class _Probabilities(nn.Module):
    """What `predict_proba` computes; the domain head has no part in it."""

    def __init__(self, module):
        super().__init__()
        self.encoder = module.encoder
        self.class_head = module.class_head

    def forward(self, X):
        return self.class_head(self.encoder(X)).softmax(1)


def _traced(classifier, opset):
    """Torch's ONNX program of the classifier's probabilities."""
    module = copy.deepcopy(classifier.module_).cpu().to(memory_format=torch.contiguous_format)
    shape = classifier.input_shape_
    # of two rows, for torch takes a dimension of 1 for one that never changes
    example = torch.zeros(2, *shape, dtype=torch.uint8 if len(shape) == 3 else torch.float32)
    return torch.onnx.export(
        _Probabilities(module).eval(),
        (example,),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("n")},),
        input_names=["X"],
        output_names=["probabilities"],
        opset_version=opset,
        verbose=False,
    )


def _metadata(estimator, classifier):
    """What a program without Python needs to know beside the graph, as texts."""
    sizes = [getattr(estimator, "image_size_", None), classifier.image_size]
    on_images = len(classifier.input_shape_) == 3
    return {
        "classes": json.dumps(classifier.classes_.tolist()),
        "magnifications": json.dumps(classifier.magnifications_),
        "input_sizes": json.dumps([size for size in sizes if size is not None] if on_images else []),
        "written_by": versions(),
    }
