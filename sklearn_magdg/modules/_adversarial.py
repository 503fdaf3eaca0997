"""What generator and discriminator minimise, what the discriminator sees, and the generator's moving average."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

# name -> (discriminator's loss of real and fake logits, generator's loss of fake logits); see `AdversarialLoss`
ADVERSARIAL_LOSSES = {
    "non-saturating": (
        lambda real_logits, fake_logits: (F.softplus(-real_logits) + F.softplus(fake_logits)).mean(),
        lambda fake_logits: F.softplus(-fake_logits).mean(),
    ),
    "hinge": (
        lambda real_logits, fake_logits: (F.relu(1 - real_logits) + F.relu(1 + fake_logits)).mean(),
        lambda fake_logits: -fake_logits.mean(),
    ),
}


class AdversarialLoss(nn.Module):
    """Both losses of a game, and the last batch's terms.

    With the discriminator's logits r of real and f of generated images, and s the sigmoid, means over the batch of

    - "non-saturating": ``-log s(r) - log(1 - s(f))`` for the discriminator [1]_ (eq. 1) and ``-log s(f)`` for the
      generator (section 3), whose gradient stays where the discriminator is sure;
    - "hinge": ``max(0, 1 - r) + max(0, 1 + f)`` and ``-f`` [2]_ (eq. 16 and 17).

    Parameters
    ----------
    name : {"non-saturating", "hinge"}, default="non-saturating"
        A key of `ADVERSARIAL_LOSSES`.

    Attributes
    ----------
    discriminator_loss : callable
        Logits (n,) of real and (n,) of generated images -> scalar of at least 0.
    generator_loss : callable
        Logits (n,) of generated images -> scalar.
    parts : dict
        Terms of the last batch by name, for the history; whoever trains writes them.

    References
    ----------
    .. [1] I. Goodfellow et al., "Generative adversarial nets", NeurIPS 2014.
    .. [2] T. Miyato et al., "Spectral normalization for generative adversarial networks", ICLR 2018.

    Examples
    --------
    >>> import torch
    >>> from sklearn_magdg.modules import AdversarialLoss
    >>> AdversarialLoss("hinge").discriminator_loss(torch.tensor([2.0]), torch.tensor([-0.5]))
    tensor(0.5000)
    """

    def __init__(self, name="non-saturating"):
        super().__init__()
        self.discriminator_loss, self.generator_loss = ADVERSARIAL_LOSSES[name]
        self.parts = {}

    def guessing(self):
        """The discriminator's loss where it tells nothing apart, at logits of 0: a float."""
        return self.discriminator_loss(torch.zeros(1), torch.zeros(1)).item()


def r1_penalty(logits, images):
    """Half the mean squared norm of the gradient of `logits` with respect to `images`: ``E |dD(x) / dx|^2 / 2`` [1]_.

    Minimised at real images, it keeps a discriminator from growing ever steeper there, where it no longer tells the
    generator the way. Behind a batch norm, where a logit depends on the whole batch, the gradient is that of the
    batch's summed logits: what the batch norm takes out again, as a shift of all images, does not count.

    Parameters
    ----------
    logits : tensor of shape (n,)
        What the discriminator says of `images`.
    images : tensor of shape (n, ...)
        The leaf that the logits were computed from, with ``requires_grad``.

    Returns
    -------
    penalty : scalar tensor
        With a graph of its own, so that it can be minimised.

    References
    ----------
    .. [1] L. Mescheder et al., "Which training methods for GANs do actually converge?", ICML 2018, eq. 9.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.flatten(1).square().sum(1).mean() / 2


def moving_average(module, decay):
    """A copy of `module` that follows it: ``update_parameters(module)`` moves it by 1 - `decay` of the way.

    In the first steps it follows faster, (1 + t) / (10 + t) in place of the decay, for the first weights are noise.

    Parameters
    ----------
    module : nn.Module
        The net that is trained.
    decay : float
        Share of the average that a step keeps, in [0, 1): about 1 / (1 - decay) steps are remembered.

    Returns
    -------
    average : torch.optim.swa_utils.AveragedModel
        Its ``module`` is the copy, without gradients. Buffers are not averaged: see `standing_statistics`.
    """

    def follow(averaged, current, n_averaged):
        step = 1 - min(decay, (1 + float(n_averaged)) / (10 + float(n_averaged)))
        torch._foreach_lerp_(averaged, current, step)

    return AveragedModel(module, multi_avg_fn=torch.no_grad()(follow)).requires_grad_(False)


def turn(images):
    """Square images ``(n, 3, s, s)``, each turned and mirrored in one of the eight ways at random.

    A slide has no up: a discriminator that sees all ways learns no orientation by heart. Differentiable.
    """
    device = images.device
    # two mirrors and a transposition, each with one chance in two, make all eight equally often
    for way in (lambda x: x.flip(2), lambda x: x.flip(3), lambda x: x.mT):
        chosen = torch.randint(2, (len(images), 1, 1, 1), device=device).bool()
        images = torch.where(chosen, way(images), images)
    return images


def diff_augment(images):
    """Differentiable augmentation of real and generated images alike [1]_.

    Brightness, saturation and contrast, a shift of up to an eighth, and a cut-out of a quarter: without it
    a discriminator learns a few hundred images by heart.

    Parameters
    ----------
    images : tensor of shape (n, 3, h, w)
        In [-1, 1]. Every image has draws of its own, from torch's global generator of the images' device.

    Returns
    -------
    images : tensor of shape (n, 3, h, w)
        Beyond [-1, 1] too; 0 where nothing was shifted in and where it was cut out. Gradients reach what is left.

    References
    ----------
    .. [1] S. Zhao et al., "Differentiable augmentation for data-efficient GAN training", NeurIPS 2020.
    """
    n, _, height, width = images.shape
    device = images.device

    def uniform(low, high):
        return torch.empty(n, 1, 1, 1, device=device).uniform_(low, high)

    images = images + uniform(-0.5, 0.5)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * uniform(0.0, 2.0)
    mean = images.mean((1, 2, 3), keepdim=True)
    images = mean + (images - mean) * uniform(0.5, 1.5)
    images = _shift(images, height // 8, width // 8)

    cut_height, cut_width = height // 2, width // 2
    top = torch.randint(0, height - cut_height + 1, (n, 1, 1), device=device)
    left = torch.randint(0, width - cut_width + 1, (n, 1, 1), device=device)
    y, x = torch.arange(height, device=device)[:, None], torch.arange(width, device=device)
    inside = (y >= top) & (y < top + cut_height) & (x >= left) & (x < left + cut_width)  # (n, h, w)
    return images * (~inside)[:, None]


def _shift(images, most_y, most_x):
    """Images ``(n, 3, h, w)``, each moved by up to `most_y` and `most_x` pixels either way; zeros come in."""
    n, _, height, width = images.shape
    device = images.device
    padded = F.pad(images, (most_x, most_x, most_y, most_y))
    y = torch.randint(0, 2 * most_y + 1, (n, 1, 1), device=device) + torch.arange(height, device=device)[:, None]
    x = torch.randint(0, 2 * most_x + 1, (n, 1, 1), device=device) + torch.arange(width, device=device)
    row = torch.arange(n, device=device)[:, None, None]
    # indexed with the channels last, where one index picks a whole pixel
    return padded.permute(0, 2, 3, 1)[row, y, x].permute(0, 3, 1, 2)  # (n, h, w, 3) -> (n, 3, h, w)
