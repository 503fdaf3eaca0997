"""The README's Python runs as it stands."""

import re
from pathlib import Path

import pytest
import sklearn

README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.mark.slow
def test_python_of_the_readme_runs_and_prints_scores(capsys):
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL))
    with sklearn.config_context():  # the README turns routing on; other tests keep it off
        exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    brier, auc = map(float, re.search(r"Brier ([\d.]+) AUC ([\d.]+)", printed).groups())
    assert 0 <= brier < 0.5 < auc <= 1
    assert re.search(r"signature: \[[\d ]+", printed)
    assert re.search(r"nested Brier 0\.\d+", printed)
