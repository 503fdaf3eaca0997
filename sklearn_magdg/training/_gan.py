"""skorch's loop over two nets that play against each other."""

import torch
from skorch import NeuralNet
from torch import nn

from sklearn_magdg.modules import moving_average, r1_penalty
from sklearn_magdg.training._net import load_batches

# Steps from one gradient penalty to the next, which is weighted by their number (Karras et al. 2020, section 3.1): it
# changes slowly, and takes as long as the rest of a discriminator's step.
_PENALTY_EVERY = 4


def players(input_layer, generator, discriminator, ema_decay):
    """The module of an `AdversarialNet`; with `ema_decay` its "average" is what will generate."""
    nets = {"input": input_layer, "generator": generator, "discriminator": discriminator}
    if ema_decay is not None:
        nets["average"] = moving_average(generator, ema_decay)
    return nn.ModuleDict(nets)


def generating(module):
    """The generator that is kept."""
    return module["average"].module if "average" in module else module["generator"]


class AdversarialNet(NeuralNet):
    """A generator and a discriminator, each with its own Adam.

    `view` is applied to real images as data are, `augment` to whatever the discriminator sees; `gradient_penalty` is
    the weight of the R1 penalty.
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
        fused = torch.device(self.device).type in ("cpu", "cuda")
        adam = {"lr": self.lr, "betas": self.betas, "fused": fused}
        self.generator_optimizer_ = torch.optim.Adam(self.module_["generator"].parameters(), **adam)
        self.discriminator_optimizer_ = torch.optim.Adam(self.module_["discriminator"].parameters(), **adam)
        self.n_steps_ = 0
        return self

    def get_iterator(self, dataset, training=False):
        return load_batches(dataset, self.batches)

    def train_step(self, batch, **fit_params):
        self._set_training(True)
        generator, discriminator = self.module_["generator"], self.module_["discriminator"]
        real, cell = self._real(batch[0]), batch[1]["cell"].to(self.device)
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

    def _real(self, stored):
        real = self.module_["input"](stored.to(self.device))
        return real if self.view is None else self.view(real)

    def _seen(self, images):
        return images if self.augment is None else self.augment(images)

    @staticmethod
    def _update(optimizer, loss):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
