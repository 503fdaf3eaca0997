"""Drawing from a generator."""

import numpy as np
import torch
from sklearn.utils import gen_batches

from sklearn_magdg.modules import standing_statistics

# Samples whose statistics the batch norms of a kept generator have.
_N_STANDING = 256


def sample_cells(module, code, seed, batch_size):
    """Images or features of the cells `code` (n,), as they are stored; the same whatever the batch size and device."""
    generator = module["generator"]
    device = next(generator.parameters()).device
    z, cell = latent(len(code), generator.latent_dim, seed), torch.from_numpy(code)
    values = None
    with torch.inference_mode():
        for rows in gen_batches(len(code), batch_size):
            made = module["input"].inverse(generator(z[rows].to(device), cell[rows].to(device))).cpu().numpy()
            if values is None:  # filled in place: joined at the end, they would take the memory twice
                values = np.empty((len(code), *made.shape[1:]), made.dtype)
            values[rows] = made
    return values


def latent(n, dim, seed):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(int(seed)))


def settle(generator, code):
    """Batch norms of `generator` set to the statistics of samples, of cells as frequent as in `code`, in place."""
    device = next(generator.parameters()).device
    cell = np.sort(code)[np.linspace(0, len(code) - 1, _N_STANDING).round().astype(int)]
    z = latent(_N_STANDING, generator.latent_dim, seed=0)
    return standing_statistics(generator, z.to(device), torch.from_numpy(cell).to(device))
