"""What generator and discriminator minimise, what the discriminator sees, and the generator's moving average."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel


def _non_saturating(real_logits, fake_logits):
    """Goodfellow et al. 2014, eq. 1: the cross-entropy of telling real from generated."""
    return (F.softplus(-real_logits) + F.softplus(fake_logits)).mean()


def _hinge(real_logits, fake_logits):
    """Miyato et al. 2018, eq. 16."""
    return (F.relu(1 - real_logits) + F.relu(1 + fake_logits)).mean()


# name -> (discriminator's loss of real and fake logits, generator's loss of fake logits); at logits of 0 the
# discriminator guesses. The generator's losses: Goodfellow et al. 2014, section 3; Miyato et al. 2018, eq. 17.
ADVERSARIAL_LOSSES = {
    "non-saturating": (_non_saturating, lambda fake_logits: F.softplus(-fake_logits).mean()),
    "hinge": (_hinge, lambda fake_logits: -fake_logits.mean()),
}


class AdversarialLoss(nn.Module):
    """Both losses of a game, and the last batch's `parts`."""

    def __init__(self, name="non-saturating"):
        super().__init__()
        self.discriminator_loss, self.generator_loss = ADVERSARIAL_LOSSES[name]
        self.parts = {}

    def guessing(self):
        """The discriminator's loss where it tells nothing apart."""
        return self.discriminator_loss(torch.zeros(1), torch.zeros(1)).item()


def r1_penalty(logits, images):
    """Half the mean squared norm of the gradient of `logits` with respect to `images` (Mescheder et al. 2018, eq. 9).

    Minimised at real images, it keeps a discriminator from growing ever steeper there, where it no longer tells the
    generator the way. Behind a batch norm, where a logit depends on the whole batch, the gradient is that of the
    batch's summed logits: what the batch norm takes out again, as a shift of all images, does not count.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.flatten(1).square().sum(1).mean() / 2


def moving_average(module, decay):
    """A copy of `module` that follows it: ``update_parameters(module)`` moves it by 1 - `decay` of the way.

    In the first steps it follows faster, (1 + t) / (10 + t) in place of the decay, for the first weights are noise.
    """

    def follow(averaged, current, n_averaged):
        step = 1 - min(decay, (1 + float(n_averaged)) / (10 + float(n_averaged)))
        torch._foreach_lerp_(averaged, current, step)

    return AveragedModel(module, multi_avg_fn=torch.no_grad()(follow)).requires_grad_(False)


def turn(images):
    """Square images ``(n, 3, s, s)``, each turned and mirrored in one of the eight ways at random."""
    device = images.device
    for way in (lambda x: x.flip(2), lambda x: x.flip(3), lambda x: x.mT):
        chosen = torch.randint(2, (len(images), 1, 1, 1), device=device).bool()
        images = torch.where(chosen, way(images), images)
    return images


def diff_augment(images):
    """Differentiable augmentation of real and generated images alike (Zhao et al. 2020).

    Brightness, saturation and contrast, a shift of up to an eighth, and a cut-out of a quarter: without it
    a discriminator learns a few hundred images by heart.
    """
    n, _, height, width = images.shape

    def uniform(low, high):
        return torch.empty(n, 1, 1, 1, device=images.device).uniform_(low, high)

    images = images + uniform(-0.5, 0.5)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * uniform(0.0, 2.0)
    mean = images.mean((1, 2, 3), keepdim=True)
    images = mean + (images - mean) * uniform(0.5, 1.5)
    return _cut_out(_shift(images, height // 8, width // 8), height // 2, width // 2)


def _shift(images, most_y, most_x):
    n, _, height, width = images.shape
    padded = F.pad(images, (most_x, most_x, most_y, most_y))
    y = torch.randint(0, 2 * most_y + 1, (n, 1, 1), device=images.device) + torch.arange(
        height, device=images.device
    ).reshape(1, -1, 1)
    x = torch.randint(0, 2 * most_x + 1, (n, 1, 1), device=images.device) + torch.arange(
        width, device=images.device
    ).reshape(1, 1, -1)
    rows = torch.arange(n, device=images.device).reshape(-1, 1, 1)
    return padded.permute(0, 2, 3, 1)[rows, y, x].permute(0, 3, 1, 2)


def _cut_out(images, cut_height, cut_width):
    n, _, height, width = images.shape
    top = torch.randint(0, height - cut_height + 1, (n, 1, 1), device=images.device)
    left = torch.randint(0, width - cut_width + 1, (n, 1, 1), device=images.device)
    y = torch.arange(height, device=images.device).reshape(1, -1, 1)
    x = torch.arange(width, device=images.device).reshape(1, 1, -1)
    inside = (y >= top) & (y < top + cut_height) & (x >= left) & (x < left + cut_width)
    return images * (~inside)[:, None]
