"""The presets: experiments of the papers at their sizes, open stand-ins, and small twins.

Each is a function: `presets.srnn_jsb()` is the paper's experiment, `presets.srnn_jsb(small=True)`
its twin that trains in minutes on two cores. `PRESETS` holds all of them by the names that the
command line knows.

What they have in common, and other than in the AVF authors' code, is `SHARED`.
"""

from collections.abc import Mapping

from .._preset import Preset
from ._linear import LARGE, NOISES, SIZES
from ._linear import linear as linear
from ._music import srnn_jsb as srnn_jsb
from ._music import srnn_musedata as srnn_musedata
from ._music import srnn_nottingham as srnn_nottingham
from ._music import srnn_piano_midi as srnn_piano_midi
from ._music import vrnn_jsb as vrnn_jsb
from ._neural import lds_mlp as lds_mlp
from ._pendulum import pendulum as pendulum
from ._speech import srnn_timit as srnn_timit
from ._speech import srnn_timit_sample as srnn_timit_sample
from ._speech import vrnn_speech_commands as vrnn_speech_commands
from ._speech import vrnn_timit as vrnn_timit
from ._speech import vrnn_timit_sample as vrnn_timit_sample
from ._video import svg_films as svg_films
from ._video import svg_kth as svg_kth
from ._video import svg_moving_digits as svg_moving_digits

SHARED = (
    "own filters are trained end to end, as in their papers (--detached trains them as the AVF "
    "authors did); the first observation is predicted and scored too (their convention is beside, "
    "as context_1); the update network takes one optimizer step a batch (--set online=true: at "
    "every time step); GroupNorm stands for BatchNorm; the KL weight grows linearly, as the paper "
    "says; learning rates are constant unless a preset says otherwise"
)
"""In what all presets differ from the AVF authors' code."""

_PAPER = (
    vrnn_timit,
    srnn_timit,
    srnn_jsb,
    srnn_nottingham,
    srnn_musedata,
    srnn_piano_midi,
    svg_kth,
    pendulum,
)
_OPEN = (
    *(vrnn_timit_sample, srnn_timit_sample, vrnn_speech_commands),
    *(vrnn_jsb, svg_films, svg_moving_digits),
)

_LINEAR = (
    *(linear(*sizes, *noise) for sizes in SIZES for noise in NOISES),
    *(linear(*sizes, *NOISES[1]) for sizes in LARGE),
)

PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        *(make(small=small) for small in (False, True) for make in (*_PAPER, *_OPEN)),
        *_LINEAR,
        lds_mlp(),
    )
}
"""Every preset by its name."""
