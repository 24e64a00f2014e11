"""Where a VRNN and an SRNN lose units in training: around their memory, and nowhere else.

The latent's way through the likelihood is left alone: with dropout there it is not used at all.
"""

from avfkit import SRNN, VRNN, AbstractModel
from avfkit.train import Drop


def memory_dropout(model: AbstractModel, rate: float) -> tuple[Drop, ...]:
    """Dropout of `rate` where prior and likelihood read the memory h; less of it elsewhere.

    Three quarters of the rate for what the LSTM reads, half for h within the LSTM, a quarter for
    the prior's hidden units. The places are weights of a tree (model, inference).

    Raises:
        ValueError: the model has no such memory.
    """
    if not isinstance(model, VRNN | SRNN):
        raise ValueError(
            f"dropout is {rate}; expected 0 for {type(model).__name__}: it is for VRNN and SRNN."
        )
    hidden = model.memory.cell.hidden_size
    # The VRNN's likelihood reads [phi_z(z), h], the SRNN's [h, z].
    start = model.likelihood_net.in_size - hidden if isinstance(model, VRNN) else 0
    return (
        Drop(lambda tree: tree[0].prior_net.layers[0].weight, rate, slice(hidden)),
        Drop(
            lambda tree: tree[0].likelihood_net.layers[0].weight, rate, slice(start, start + hidden)
        ),
        Drop(lambda tree: tree[0].memory.cell.weight_ih, 0.75 * rate),
        Drop(lambda tree: tree[0].memory.cell.weight_hh, 0.5 * rate),
        Drop(lambda tree: tree[0].prior_net.head.linear.weight, 0.25 * rate),
    )
