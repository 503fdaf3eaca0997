"""skorch's loop over a generator and a discriminator that play against each other, and drawing from the generator."""

import numpy as np
import torch
from sklearn.utils import gen_batches
from skorch import NeuralNet
from torch import nn

from sklearn_magdg.modules import moving_average, r1_penalty, standing_statistics
from sklearn_magdg.training._net import load_batches

# Steps from one gradient penalty to the next, which is weighted by their number (Karras et al. 2020, section 3.1): it
# changes slowly, and takes as long as the rest of a discriminator's step.
_PENALTY_EVERY = 4
# Samples whose statistics the batch norms of a kept generator have.
_N_STANDING = 256


def players(input_layer, generator, discriminator, ema_decay):
    """The module of a `GANNet`; with `ema_decay` its "average" is what will generate.

    Parameters
    ----------
    input_layer : torch.nn.Module
        From stored images or features to the scale that the players see; its ``inverse`` leads back.
    generator, discriminator : torch.nn.Module
    ema_decay : float or None
        Share, in [0, 1), that the moving average of the generator keeps of itself in every step.

    Returns
    -------
    torch.nn.ModuleDict
        "input", "generator", "discriminator" and, with `ema_decay`, "average".
    """
    nets = {"input": input_layer, "generator": generator, "discriminator": discriminator}
    if ema_decay is not None:
        nets["average"] = moving_average(generator, ema_decay)
    return nn.ModuleDict(nets)


def generating(module):
    """The generator that is kept: the moving average where there is one."""
    return module["average"].module if "average" in module else module["generator"]


class GANNet(NeuralNet):
    """A generator and a discriminator, each with its own Adam.

    A step is one of the discriminator on real and generated images, then one of the generator against it.

    Parameters
    ----------
    batches : sequence of ndarray
        Positions of the rows of every batch, drawn anew at each iteration.
    betas : pair of floats, default=(0.5, 0.999)
        Of both Adams.
    gradient_penalty : float, default=0.0
        Weight of the R1 penalty (Mescheder et al. 2018, eq. 9).
    view : callable, default=None
        Applied to real images as data are: what it makes is real too.
    augment : callable, default=None
        Applied to whatever the discriminator sees, real or generated, and differentiable.
    *args, **kwargs
        As of `skorch.NeuralNet`; the module is that of `players`, the criterion an `AdversarialLoss`.
    """

    def __init__(
        self, *args, batches=None, betas=(0.5, 0.999), gradient_penalty=0.0, view=None, augment=None, **kwargs
    ):
        super().__init__(*args, **kwargs)
        self.batches = batches
        self.betas = betas
        self.gradient_penalty = gradient_penalty
        self.view = view
        self.augment = augment

    def initialize_optimizer(self, *args, **kwargs):
        """Two Adams, where skorch has one optimizer, and the count of steps that times the penalty."""
        fused = torch.device(self.device).type in ("cpu", "cuda")
        adam = {"lr": self.lr, "betas": self.betas, "fused": fused}
        self.generator_optimizer_ = torch.optim.Adam(self.module_["generator"].parameters(), **adam)
        self.discriminator_optimizer_ = torch.optim.Adam(self.module_["discriminator"].parameters(), **adam)
        self.n_steps_ = 0
        return self

    def get_iterator(self, dataset, training=False):
        return load_batches(dataset, self.batches)

    def train_step(self, batch, **fit_params):
        """One step of either player; ``criterion_.parts`` holds both losses and the mean scores of the batch.

        The generator's images are drawn once: the discriminator learns from them, then the generator from its answer.
        """
        self._set_training(True)
        generator, discriminator = self.module_["generator"], self.module_["discriminator"]
        real, cell = self.module_["input"](batch[0].to(self.device)), batch[1]["cell"].to(self.device)
        real = real if self.view is None else self.view(real)
        z = torch.randn(len(cell), generator.latent_dim, device=self.device)
        fake = generator(z, cell)

        is_penalised = self.gradient_penalty > 0 and self.n_steps_ % _PENALTY_EVERY == 0
        real_seen = self._seen(real).detach()  # a leaf of its own, whatever `augment` gives back
        real_logits = discriminator(real_seen.requires_grad_(is_penalised), cell)
        fake_logits = discriminator(self._seen(fake.detach()), cell)
        discriminator_loss = self.criterion_.discriminator_loss(real_logits, fake_logits)
        penalty = _PENALTY_EVERY * self.gradient_penalty * r1_penalty(real_logits, real_seen) if is_penalised else 0
        self._update(self.discriminator_optimizer_, discriminator_loss + penalty)
        self.n_steps_ += 1

        discriminator.requires_grad_(False)  # the generator's step needs no gradient of these weights
        generator_loss = self.criterion_.generator_loss(discriminator(self._seen(fake), cell))
        self._update(self.generator_optimizer_, generator_loss)
        discriminator.requires_grad_(True)
        if "average" in self.module_:
            self.module_["average"].update_parameters(generator)

        self.criterion_.parts = {
            "generator_loss": generator_loss.detach(),
            "discriminator_loss": discriminator_loss.detach(),
            "real_score": real_logits.detach().sigmoid().mean(),
            "fake_score": fake_logits.detach().sigmoid().mean(),
        }
        return {"loss": (generator_loss + discriminator_loss).detach(), "y_pred": None}

    def _seen(self, images):
        """What the discriminator sees of images."""
        return images if self.augment is None else self.augment(images)

    @staticmethod
    def _update(optimizer, loss):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def sample_cells(module, code, seed, batch_size):
    """Images or features of the cells `code` (n,), as they are stored; the same whatever the batch size and device.

    Parameters
    ----------
    module : torch.nn.ModuleDict
        With "input" and "generator", the latter in evaluation mode.
    code : ndarray of int64, shape (n,)
        Cell of every sample.
    seed : int
        Of the latent vectors, which are drawn on the CPU and all at once.
    batch_size : int
        Samples at a time.
    """
    generator = module["generator"]
    device = next(generator.parameters()).device
    z, cell = _latent(len(code), generator.latent_dim, seed), torch.from_numpy(code)
    values = None
    with torch.inference_mode():
        for rows in gen_batches(len(code), batch_size):
            made = module["input"].inverse(generator(z[rows].to(device), cell[rows].to(device))).cpu().numpy()
            if values is None:  # filled in place: joined at the end, they would take the memory twice
                values = np.empty((len(code), *made.shape[1:]), made.dtype)
            values[rows] = made
    return values


def _latent(n, dim, seed):
    """Latent vectors (n, dim) of a generator of their own, so that torch's global one stays where it is."""
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(int(seed)))


def settle(generator, code):
    """Batch norms of `generator` set to the statistics of samples, of cells as frequent as in `code`, in place.

    In training they have those of the last batches only (standing statistics: Brock et al. 2019, section 4.1).
    """
    device = next(generator.parameters()).device
    cell = np.sort(code)[np.linspace(0, len(code) - 1, _N_STANDING).round().astype(int)]
    z = _latent(_N_STANDING, generator.latent_dim, seed=0)
    return standing_statistics(generator, z.to(device), torch.from_numpy(cell).to(device))


def keep_generator(module, code):
    """Of the players' `module` what a fitted estimator holds: the generator that is kept, settled by `settle`."""
    return generator_alone(module["input"], settle(generating(module), code)).eval()


def generator_alone(input_layer, generator):
    """Input layer and generator, of which nothing trains; what the discriminator knows of real images is not kept."""
    return nn.ModuleDict({"input": input_layer, "generator": generator}).requires_grad_(False)
