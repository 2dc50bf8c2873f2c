"""What names say, by the habits of BraTS, BIDS, UCSF-PDGM and people."""

import pytest

from atrous.data.volumes.modalities import match_channels, read_name
from atrous.errors import DataError


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("T2_FLAIR", ("flair",)),
        ("sub-01_space-T1w_FLAIR", ("flair",)),
        ("pat_t2-flair_reg", ("flair",)),
        ("t1c_to_flair", ("t1ce",)),
        ("pat_t1_ce", ("t1ce",)),
        ("pat_T1-Gd", ("t1ce",)),
        ("pat_t1_post_contrast", ("t1ce",)),
        ("sub-01_ce-gadolinium_T1w", ("t1ce",)),
        ("T1w_axial_contrast", ("t1ce",)),
        ("post_op_t1", ("t1",)),
        ("t1_post_op", ("t1",)),
        ("t1_pre_contrast", ("t1",)),
        ("sub-01_T1w", ("t1",)),
        ("MPRAGE", ("t1",)),
        ("t1_wo_contrast", ("t1",)),
        ("T1 w/o Gd", ("t1",)),
        ("sub-01_ce-none_T1w", ("t1",)),
        ("t1_mprage_sag_post", ("t1ce",)),
        ("T1_mdc", ("t1ce",)),
        ("T2_tirm_dark-fluid", ("flair",)),
        ("T1c_subtraction", ("t1cesubtraction",)),
        ("T1_map", ("t1map",)),
        ("T2_GRE", ("t2gre",)),
        ("T2*_w", ("t2star",)),
        ("t2star", ("t2star",)),
        ("T2_star", ("t2star",)),
        ("ADC", ("adc",)),
        ("p1_dwi", ("dwi",)),
        ("sub-01_inv-1_MP2RAGE", ("mp2rage",)),
        ("t1_seg2", ("labels",)),
        ("t1_mask2", ("mask",)),
        ("sub-01_defacemask", ("mask",)),
        ("gt_t1", ("labels",)),
        ("p1_GTV1", ("labels",)),
        ("t1_lesion", ("labels",)),
        ("p1_truth_rater1", ("labels",)),
        ("aparc+aseg", ("mask",)),
        ("t1_pve_1", ("mask",)),
        ("t1_t2", ("t1", "t2")),
        ("pat_t1_brain_mask", ("mask",)),
        ("UCSF-PDGM-0004_brain_segmentation", ("mask",)),
        ("UCSF-PDGM-0004_tumor_segmentation", ("labels",)),
        ("lesion_mask", ("labels",)),
        ("pat_flair_seg", ("labels",)),
        ("BraTS-MEN-RT-0001-1_gtv", ("labels",)),
        ("OTMultiClass", ("labels",)),
        ("label_studio_export", ()),
    ],
)
def test_names_say(name, kinds):
    assert read_name(name).kinds == kinds


@pytest.mark.parametrize(
    ("wanted", "present", "order"),
    [
        (("flair", "t1"), ("T1", "FLAIR"), [1, 0]),
        (("t1ce",), ("T1w", "T1-Gd"), [1]),
        (("CT",), ("ct",), [0]),
        (("MRI",), ("T1w",), None),
        (("channel 0", "channel 1"), ("a", "b"), None),
        (("flair", "t1"), None, None),
    ],
)
def test_channels_are_matched_by_name(wanted, present, order):
    assert match_channels(wanted, present) == order


@pytest.mark.parametrize(
    ("wanted", "present", "words"),
    [
        (("flair", "t1"), ("FLAIR", "t2"), "has no t1"),
        (("flair", "t1"), ("FLAIR", "t1", "T2_FLAIR"), "has FLAIR twice"),
        (("ct",), ("t1",), "has no ct"),
    ],
)
def test_channels_that_do_not_fit_are_named(wanted, present, words):
    with pytest.raises(DataError, match=words):
        match_channels(wanted, present)
