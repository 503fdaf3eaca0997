"""Models in files: save, load, ONNX; nothing that is read is run."""

from sklearn_magdg.persistence._models import load_model, save_model
from sklearn_magdg.persistence._onnx import export_onnx

__all__ = ["export_onnx", "load_model", "save_model"]
