"""Tissues lie where anatomy has them."""

import numpy as np
import pytest

from atrous.data.synthetic.anatomy import Tissue, draw_anatomy
from atrous.data.synthetic.noise import Region
from atrous.data.synthetic.world import Diagnosis, TissueWorld

REGION = Region(top=200, left=-900, height=400, width=500)


def mask_of(diagnosis, *, seed=1, is_mixed=False, region=REGION):
    world = TissueWorld(seed=seed, diagnosis=diagnosis, is_mixed=is_mixed)
    return draw_anatomy(world, region).mask


def neighbours(mask, tissue):
    """Tissues of the pixels beside those of a tissue, and how often."""
    pairs = np.concatenate(
        [
            np.stack([first.ravel(), second.ravel()])
            for one, other in ((mask[1:], mask[:-1]), (mask[:, 1:], mask[:, :-1]))
            for first, second in ((one, other), (other, one))
        ],
        axis=1,
    )
    beside = pairs[1][(pairs[0] == tissue) & (pairs[1] != tissue)]
    return np.bincount(beside, minlength=len(Tissue)) / max(len(beside), 1)


@pytest.mark.parametrize(
    ("diagnosis", "absent"),
    [
        (
            Diagnosis.BENIGN,
            {Tissue.MALIGNANT_EPITHELIUM, Tissue.DESMOPLASTIC_STROMA, Tissue.NECROSIS},
        ),
        (Diagnosis.ATYPIA, {Tissue.DESMOPLASTIC_STROMA, Tissue.NECROSIS}),
        (Diagnosis.DCIS, set()),
        (Diagnosis.INVASIVE, {Tissue.BENIGN_EPITHELIUM}),
    ],
)
def test_each_diagnosis_has_its_tissues(diagnosis, absent):
    seen = set(np.unique(mask_of(diagnosis)).tolist())
    assert seen == set(Tissue) - absent


def test_necrosis_lies_in_the_middle_of_malignant_epithelium():
    beside = neighbours(mask_of(Diagnosis.DCIS), Tissue.NECROSIS)
    assert beside[Tissue.MALIGNANT_EPITHELIUM] > 0.97


def test_secretion_lies_within_epithelium():
    beside = neighbours(mask_of(Diagnosis.BENIGN), Tissue.SECRETION)
    assert beside[Tissue.BENIGN_EPITHELIUM] > 0.97


def test_desmoplastic_stroma_lies_around_ducts_with_dcis():
    beside = neighbours(mask_of(Diagnosis.DCIS), Tissue.MALIGNANT_EPITHELIUM)
    outside = beside[[Tissue.NORMAL_STROMA, Tissue.DESMOPLASTIC_STROMA, Tissue.BACKGROUND]]
    assert outside[1] > 0.9 * outside.sum()


def test_ducts_with_atypia_are_benign_on_one_side():
    beside = neighbours(mask_of(Diagnosis.ATYPIA), Tissue.MALIGNANT_EPITHELIUM)
    assert beside[Tissue.BENIGN_EPITHELIUM] > 0.05


def test_a_mixed_world_has_zones_of_its_diagnosis_and_of_milder_ones():
    region = Region(top=0, left=0, height=60, width=12_000)
    mask = mask_of(Diagnosis.INVASIVE, is_mixed=True, region=region)
    desmoplastic = (mask == Tissue.DESMOPLASTIC_STROMA).reshape(60, 24, 500).mean((0, 2))
    assert (desmoplastic > 0.4).any()
    assert (desmoplastic == 0).any()


def test_a_mixed_world_is_never_worse_than_its_diagnosis():
    region = Region(top=0, left=0, height=60, width=12_000)
    mask = mask_of(Diagnosis.ATYPIA, is_mixed=True, region=region)
    assert Tissue.DESMOPLASTIC_STROMA not in mask
    assert Tissue.MALIGNANT_EPITHELIUM in mask
