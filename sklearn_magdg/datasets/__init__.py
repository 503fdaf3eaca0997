"""Collections of images: paths or arrays with class, patient, slide and magnification."""

from sklearn_magdg.datasets._breakhis import load_breakhis
from sklearn_magdg.datasets._fetch import breakhis_folder as breakhis_folder
from sklearn_magdg.datasets._fetch import fetch_breakhis
from sklearn_magdg.datasets._histology import make_histology
from sklearn_magdg.datasets._manifest import load_manifest
from sklearn_magdg.datasets._official import official_holdouts

__all__ = ["fetch_breakhis", "load_breakhis", "load_manifest", "make_histology", "official_holdouts"]
