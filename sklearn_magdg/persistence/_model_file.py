"""A file of named tensors and a JSON text: safetensors, with a digest that tells a damaged file from a whole one."""

import hashlib
import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import safetensors.torch

from sklearn_magdg import __version__

_FORMAT, _FORMAT_VERSION = "sklearn_magdg model", "1"
_MAX_HEADER = 100_000_000  # bytes; safetensors itself reads no longer one
_BLANK = "0" * 64


class ModelFile(NamedTuple):
    """What a model file holds.

    Attributes
    ----------
    tensors : dict of str to torch.Tensor
        By name; what each is, the description tells.
    description : object
        Whatever JSON can hold.
    written_by : str
        Versions of the libraries that wrote it.
    """

    tensors: dict
    description: object
    written_by: str


def versions():
    """The versions of this library and of those that its models depend on, in one line."""
    others = ", ".join(f"{name} {version(name)}" for name in ("scikit-learn", "torch", "torchvision"))
    return f"sklearn_magdg {__version__} with {others}"


def pack(tensors, description):
    """The file's bytes: a safetensors file, its description and a digest of the whole in the header.

    The digest is computed with zeros in its own place, and then put there.

    Parameters
    ----------
    tensors : dict of str to torch.Tensor
        Contiguous, on the CPU.
    description : object
        Whatever JSON can hold; nan and infinity, which it cannot, are refused.

    Returns
    -------
    bytes
    """
    metadata = {
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "written_by": versions(),
        "description": json.dumps(description, allow_nan=False),
        "sha256": _BLANK,
    }
    content = safetensors.torch.save(tensors, metadata)
    return content.replace(_seal(_BLANK), _seal(_digest(content)), 1)


def unpack(path):
    """What stands in the file `path`, whole and undamaged; a foreign file is not read beyond its header.

    Raises
    ------
    ValueError
        For a file that is foreign, damaged, cut off or of a later format.
    """
    with open(path, "rb") as file:
        head = file.read(8)
        n_header = int.from_bytes(head, "little")
        if n_header > min(_MAX_HEADER, os.fstat(file.fileno()).st_size - 8):
            raise _foreign(path)
        header = file.read(n_header)
        metadata = _metadata(header, path)
        content = head + header + file.read()
    if _digest(content.replace(_seal(metadata["sha256"]), _seal(_BLANK), 1)) != metadata["sha256"]:
        raise ValueError(
            f"{path} is damaged or cut off: its content does not give the SHA-256 that stands in it; copy it again "
            "from where it came, or save the model again."
        )
    return ModelFile(safetensors.torch.load(content), json.loads(metadata["description"]), metadata["written_by"])


def check_writable(path):
    """`path` as a Path, if a file can be written there.

    Raises
    ------
    IsADirectoryError, FileNotFoundError
        For a folder, and for a path whose folder is not there: said before anything is computed.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder: give the path of a file, {str(path / 'model')!r}, say.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {str(path.parent)!r} to save the model in; make it first.")
    return path


def _digest(content):
    return hashlib.sha256(content).hexdigest()


def _seal(digest):
    """The entry of the digest as it stands in the header, in bytes."""
    # in the description, a JSON text within JSON, no quotation mark stands without a backslash
    return f'"sha256":"{digest}"'.encode()


def _metadata(header, path):
    """The texts in a safetensors header, if they are ours and of a format that we read."""
    try:
        metadata = json.loads(header)["__metadata__"]
        is_ours = metadata["format"] == _FORMAT and all(isinstance(text, str) for text in metadata.values())
        later = metadata["format_version"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        is_ours = False
    if not is_ours or not {"sha256", "description", "written_by"} <= metadata.keys():
        raise _foreign(path)
    if later != _FORMAT_VERSION:
        raise ValueError(
            f"{path} has format {later!r}, written by {metadata['written_by']}; this is sklearn_magdg {__version__}, "
            f"which reads format {_FORMAT_VERSION}: upgrade it (`pip install --upgrade sklearn-magdg`)."
        )
    return metadata


def _foreign(path):
    return ValueError(
        f"{path} is not a model file of sklearn_magdg, or its beginning is damaged: give a file that `save_model` "
        "wrote (a state dict of a backbone goes to the parameter `weights`)."
    )
