"""The Fréchet distance between Gaussians fitted to real and to generated embeddings."""

import warnings

from sklearn_magdg.metrics._embeddings import check_embeddings


def frechet_inception_distance(real, generated):
    r"""Fréchet distance between two Gaussians, one fitted to real and one to generated embeddings, by torch-fidelity.

    With means :math:`\mu` and covariances :math:`\Sigma` of the real (r) and of the generated (g) embeddings [1]_,

    .. math:: \|\mu_r - \mu_g\|^2 + \operatorname{tr}\big(\Sigma_r + \Sigma_g - 2 (\Sigma_r \Sigma_g)^{1/2}\big).

    For comparison with published numbers, which stand for tens of thousands of samples and for the embeddings of
    Inception-v3. With fewer images the distance is too large, by an amount that depends on the generator, so that it
    may rank two generators wrongly [2]_: take `kernel_inception_distance`, which is unbiased, for anything else.

    Parameters
    ----------
    real : array-like of shape (n_real, n_dimensions)
        Embeddings of real images; finite numbers, at least 2 rows and 2 columns.
    generated : array-like of shape (n_generated, n_dimensions)
        Embeddings of generated images by the same encoder, at least 2 rows.

    Returns
    -------
    distance : float
        At least 0 but for rounding; 0 for equal means and covariances.

    Raises
    ------
    ImportError
        Without the extra ``fid``.
    ValueError
        If there are fewer than 2 rows or columns, if the numbers of columns differ, or if a number is not finite.

    Warns
    -----
    UserWarning
        If either side has no more rows than columns: its covariance is singular, and most of the distance is bias.

    References
    ----------
    .. [1] M. Heusel, H. Ramsauer, T. Unterthiner, B. Nessler, S. Hochreiter, "GANs Trained by a Two Time-Scale Update
       Rule Converge to a Local Nash Equilibrium", Advances in Neural Information Processing Systems 30, 2017,
       equation 6.
    .. [2] M. J. Chong, D. Forsyth, "Effectively Unbiased FID and Inception Score and Where to Find Them", Conference on
       Computer Vision and Pattern Recognition, 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_magdg.metrics import frechet_inception_distance
    >>> real = np.random.default_rng(0).normal(size=(50, 3))
    >>> round(frechet_inception_distance(real, 2 + real), 6)
    12.0
    """
    real, generated = check_embeddings(real=real, generated=generated)
    n_rows, n_columns = min(len(real), len(generated)), real.shape[1]
    if n_rows < 2 or n_columns < 2:
        raise ValueError(
            f"frechet_inception_distance needs at least 2 rows and 2 columns for a covariance, got `real` of shape "
            f"{real.shape} and `generated` of shape {generated.shape}; give more images, or kernel_inception_distance "
            f"embeddings of 1 column."
        )
    if n_rows <= n_columns:
        warnings.warn(
            f"frechet_inception_distance got {len(real)} real and {len(generated)} generated rows of {n_columns} "
            f"columns: with no more rows than columns a covariance is singular, and most of the distance is bias; "
            f"take kernel_inception_distance."
        )
    try:
        # here, because this room loads without torch, which torch-fidelity imports
        import torch
        from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    except ImportError as error:
        raise ImportError(
            'frechet_inception_distance needs torch-fidelity: install it with `pip install "sklearn-magdg[fid]"`.'
        ) from error
    statistics = [fid_features_to_statistics(torch.from_numpy(each)) for each in (real, generated)]
    return fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
