"""Look inside any live torch model: cost, receptive field, latency."""

from atrous.analysis.effective_field import EffectiveField, effective_receptive_field
from atrous.analysis.fields.dependence import Misalignment, Note
from atrous.analysis.fields.field import Field
from atrous.analysis.halo import Halo, halo
from atrous.analysis.latency import Latency, LayerLatency, latency
from atrous.analysis.profile import Profile, profile
from atrous.analysis.receptive_field import ReceptiveField, receptive_field
from atrous.analysis.register import register
from atrous.analysis.tracing.explain import ValueDependentError
from atrous.analysis.tracing.layers import LayerProfile, OpProfile
from atrous.analysis.why import reasons

__all__ = [
    "EffectiveField",
    "Field",
    "Halo",
    "Latency",
    "LayerLatency",
    "LayerProfile",
    "Misalignment",
    "Note",
    "OpProfile",
    "Profile",
    "ReceptiveField",
    "ValueDependentError",
    "effective_receptive_field",
    "halo",
    "latency",
    "profile",
    "reasons",
    "receptive_field",
    "register",
]
