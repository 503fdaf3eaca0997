"""
How few dimensions of an embedding are enough?
==============================================

A net gives every image an embedding of 128 numbers. An l1-penalised logistic regression uses few of them at a strong
penalty and more as it weakens: how many does it take to classify patients that neither of the two has seen?
"""

# %%
# Data: 60 patients at four magnifications in three parts. The net trains on the first. The signature is chosen on the
# second: a net tells its own training patients apart too well for an honest choice. The third tests both.
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from sklearn_magdg.datasets import make_histology
from sklearn_magdg.estimators import CNNClassifier
from sklearn_magdg.inspection import SignaturePathDisplay, SignatureWeightsDisplay
from sklearn_magdg.signature import SparseSignatureSelector, signature_path

tissue = make_histology(60, images_per_cell=3, image_size=32, random_state=0)
y = tissue.target_names[tissue.target]
part = (np.arange(60) // 2 % 3)[np.unique(tissue.patient, return_inverse=True)[1]]  # pairs hold both classes
of_net, of_signature, new = part == 0, part == 1, part == 2

net = CNNClassifier(max_epochs=8, random_state=0)
net.fit(tissue.data[of_net], y[of_net], patient=tissue.patient[of_net], magnification=tissue.magnification[of_net])
X = pd.DataFrame(net.transform(tissue.data), columns=net.get_feature_names_out())

# %%
# The path from no dimension to many, and beneath it the loss in folds that share no patient. The selector takes the
# smallest C within one standard error of the lowest loss.
selector = SparseSignatureSelector(n_Cs=30, random_state=0)
selector.fit(X[of_signature], y[of_signature], patient=tissue.patient[of_signature])
_ = SignaturePathDisplay.from_estimator(selector, X[of_signature], y[of_signature])

# %%
# What patients say whom neither has seen: a handful of dimensions does better than most of them. With 20 patients the
# standard error is wide and the rule strict; two dimensions go a long way.
scaler = StandardScaler().fit(X[of_signature])
path = signature_path(scaler.transform(X[of_signature]), y[of_signature], Cs=selector.Cs_)
scores = np.einsum("nd,cd->cn", scaler.transform(X[new]), path.coefs[:, 0]) + path.intercepts
loss = selector.cv_losses_.mean(axis=1)
table = pd.DataFrame(
    {
        "C": path.Cs,
        "dimensions": (path.coefs[:, 0] != 0).sum(axis=1),
        "cross-validated log loss": loss,
        "AUC on new patients": [roc_auc_score(y[new], score) for score in scores],
    }
)
rows = {"one standard error": np.argmax(path.Cs == selector.C_), "lowest loss": np.argmin(loss), "weakest penalty": -1}
table.iloc[list(rows.values())].set_index(pd.Index(rows)).round(3)

# %%
# The weights at the lowest loss. Dimensions of one net say much the same: whether other patients would have chosen
# these is a question of its own (:ref:`sphx_glr_auto_examples_plot_stable_signature.py`).
lowest = SparseSignatureSelector(one_se=False, random_state=0)
lowest.fit(X[of_signature], y[of_signature], patient=tissue.patient[of_signature])
_ = SignatureWeightsDisplay.from_estimator(lowest)
