"""Every op of torch's own database: field, halo and MACs are right or a bound, and none crashes.

By hand: `python -m tests.analysis.op_database NAME …`; `--write` makes the table of ops without a
rule in docs/analysis_ops.md anew.
"""

import warnings

import pytest
from tests.analysis.op_database import table

SHARDS = 16
pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def results():
    """Verdicts by shard; torch's database takes ten seconds to import, so it is not met before."""
    from tests.analysis.op_database.samples import names
    from tests.analysis.op_database.verdicts import judge

    def run(shard):
        chosen = names()[shard::SHARDS]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return chosen, judge(chosen)

    return run


@pytest.mark.parametrize("shard", range(SHARDS))
def test_nothing_said_of_an_op_of_torch_is_wrong(results, shard):
    chosen, result = results(shard)
    print(dict(result.counts))  # noqa: T201 - how many of each verdict
    assert result.counts["samples"] > len(chosen)
    assert result.faults == []
    listed = {entry for entry in table.read() if entry[2] in set(chosen)}
    assert listed == result.missing, "python -m tests.analysis.op_database --write"
