"""The products of a training step of AVF and nothing else: what they have in common, VRNN, SRNN.

A network is the list of its layers' matrices, [out, in] each; a value has its numbers last.
"""

from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr

Network = list[jax.Array]


def network(*sizes: int, key: jax.Array) -> Network:
    """A network; the halves, thirds or quarters of a layer's output may be summed for the next."""
    pairs = zip(sizes[:-1], sizes[1:], jr.split(key, len(sizes) - 1), strict=True)
    return [jr.normal(k, (b, a)) / a**0.5 for a, b, k in pairs]


def update_network(latent: int, *, width: int = 1024, depth: int = 2, key: jax.Array) -> Network:
    """Highway layers, of which the first has three branches and the others two, and four heads."""
    layers = network(4 * latent, 3 * width, key=key)
    for _ in range(depth - 1):
        layers += network(width, 2 * width, key=key)
    return layers + network(width, 4 * latent, key=key)


def fit(value: jax.Array, size: int) -> jax.Array:
    """Bring a value to the size the next product wants, by repeating it or by summing its parts."""
    if value.shape[-1] < size:
        return jnp.tile(value, -(-size // value.shape[-1]))[..., :size]
    return value[..., : value.shape[-1] // size * size].reshape(*value.shape[:-1], -1, size).sum(-2)


def times(layer: jax.Array, value: jax.Array) -> jax.Array:
    """One product. XLA packs the second factor: the vectors, where they are few.

    The transposed product of the backward pass is faster the other way round.
    """
    if value.ndim > 2:
        return value @ layer.T
    return jax.lax.optimization_barrier(layer @ value.T).T


def forward(layers: Network, value: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
    """The output, and what each layer reads."""
    read = []
    for layer in layers:
        read.append(fit(value, layer.shape[1]))
        value = times(layer, read[-1])
    return value, read


def backward(layers: Network, value: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
    """The gradient of the input, and of each layer's output."""
    received = []
    for layer in reversed(layers):
        received.insert(0, fit(value, layer.shape[0]))
        value = received[0] @ layer
    return value, received


def inner_gradients(layers: Network, value: jax.Array) -> list[jax.Array]:
    """The gradient of each layer's output; nobody asks for that of the network's input."""
    if not layers:
        return []
    below, received = backward(layers[1:], value)
    return [fit(below, layers[0].shape[0]), *received]


def weight_gradients(read: list[jax.Array], received: list[jax.Array]) -> Network:
    """One product for each layer, over all steps and sequences at once."""
    return [jnp.einsum("...i,...o->oi", a, b) for a, b in zip(read, received, strict=True)]


def search(
    nets: dict[str, Network], q: jax.Array, from_h: jax.Array, num_iterations: int
) -> tuple[jax.Array, list]:
    """The iterations of one step: the last estimate, and what the update network has read."""
    update, latent = nets["update"], nets["update"][0].shape[1] // 4
    first, rest = nets["likelihood"][:1], nets["likelihood"][1:]
    update_read = []
    for iteration in range(num_iterations + 1):
        features = forward(nets["z"], fit(q, latent))[0]
        prediction = forward(rest, forward(first, features)[0] + from_h)[0]
        gradient = backward(nets["z"], backward(nets["likelihood"], prediction)[0])[0]
        if iteration < num_iterations:
            estimate = jnp.concatenate([fit(gradient, 2 * latent), fit(q, 2 * latent)], -1)
            q, read = forward(update, estimate)
            update_read.append(read)
    return q, update_read


def update_gradients(nets: dict[str, Network], update_read: list) -> list:
    """Those of the update network: every weight, for each iteration; nothing goes further back."""
    gradients = []
    for read in update_read:
        received = inner_gradients(nets["update"], fit(read[-1], nets["update"][-1].shape[0]))
        gradients.append(weight_gradients(read, received))
    return gradients


def score_gradients(
    nets: dict[str, Network], features_z: jax.Array, from_h: jax.Array, hs: jax.Array
) -> tuple[jax.Array, jax.Array, list]:
    """The likelihood of all steps, and back: gradients of its inputs and of its weights."""
    first, read = forward(nets["likelihood"][:1], features_z)
    output, rest = forward(nets["likelihood"][1:], first + from_h)
    to_features, received = backward(nets["likelihood"], output)
    gradients = [weight_gradients(read + rest, received), weight_gradients([hs], received[:1])]
    return to_features, backward(nets["likelihood_h"], received[0])[0], gradients


def back_through_time(nets: dict[str, Network], to_h: jax.Array, gates: jax.Array) -> jax.Array:
    """The gradient of the gates of all steps: the recurrence itself, which has to wait."""
    hidden = to_h.shape[-1]

    def step(later: jax.Array, inputs: tuple) -> tuple[jax.Array, jax.Array]:
        direct, gates = inputs
        to_gates = gates + fit(later, 4 * hidden)
        return (direct + to_gates @ nets["lstm_h"][0]) * 1e-2, to_gates

    return jax.lax.scan(step, jnp.zeros_like(to_h[0]), (to_h, gates), reverse=True)[1]


def vrnn(*, key: jax.Array, size: int = 200, hidden: int = 2000) -> dict[str, Network]:
    """The networks of VRNN-TIMIT; first layers are split by what they read."""
    wide, narrow = [600] * 4, [500] * 4
    shapes = {
        "x": (size, *wide),
        "z": (size, *narrow),
        "prior": (hidden, *narrow, 2 * size),
        "likelihood": (narrow[-1], *wide, 2 * size),
        "likelihood_h": (hidden, wide[0]),
        "lstm_x": (wide[-1], 4 * hidden),
        "lstm_z": (narrow[-1], 4 * hidden),
        "lstm_h": (hidden, 4 * hidden),
    }
    nets = {name: network(*shape, key=key) for name, shape in shapes.items()}
    return nets | {"update": update_network(size, key=key)}


def vrnn_floor(nets: dict[str, Network], xs: jax.Array, *, num_iterations: int) -> Any:
    """All products of one training step. The memory reads the latent, so all of a step waits."""
    hidden, latent = nets["lstm_h"][0].shape[1], nets["z"][0].shape[1]
    features_x, x_read = forward(nets["x"], xs)
    gates_x = forward(nets["lstm_x"], features_x)[0]

    def step(h: jax.Array, from_x: jax.Array) -> tuple[jax.Array, tuple]:
        q, prior_read = forward(nets["prior"], h)
        from_h = forward(nets["likelihood_h"], h)[0]
        q, update_read = search(nets, q, from_h, num_iterations)
        features, z_read = forward(nets["z"], fit(q, latent))
        gates = from_x + forward(nets["lstm_z"], features)[0] + forward(nets["lstm_h"], h)[0]
        kept = (h, features, gates, from_h, prior_read, z_read, update_read)
        return fit(gates, hidden) * 1e-2, kept

    start = jnp.zeros((xs.shape[1], hidden))
    hs, features_z, gates, from_h, prior_read, z_read, update_read = jax.lax.scan(
        step, start, gates_x
    )[1]
    # The M-step: everything but the recurrence itself has all steps at once.
    to_features, to_h, gradients = score_gradients(nets, features_z, from_h, hs)
    back, received = backward(nets["prior"], fit(hs, 2 * latent))
    gradients += [weight_gradients(prior_read, received)]
    to_gates = back_through_time(nets, to_h + back, gates)
    gradients += [weight_gradients([value], [to_gates]) for value in (features_x, features_z, hs)]
    to_features += backward(nets["lstm_z"], to_gates)[0]
    gradients += [weight_gradients(z_read, inner_gradients(nets["z"], to_features))]
    to_features = backward(nets["lstm_x"], to_gates)[0]
    gradients += [weight_gradients(x_read, inner_gradients(nets["x"], to_features))]
    return gradients + update_gradients(nets, update_read)


def srnn(*, key: jax.Array, obs: int = 88, latent: int = 100, hidden: int = 300) -> dict:
    """The networks of SRNN-JSB; first layers are split by what they read."""
    width = 500
    shapes = {
        "prior": (latent, width, 2 * latent),
        "prior_h": (hidden, width),
        "likelihood": (latent, width, width, obs),
        "likelihood_h": (hidden, width),
        "lstm_x": (obs, 4 * hidden),
        "lstm_h": (hidden, 4 * hidden),
    }
    nets = {name: network(*shape, key=key) for name, shape in shapes.items()}
    return nets | {"z": [], "update": update_network(latent, key=key)}


def srnn_floor(nets: dict[str, Network], xs: jax.Array, *, num_iterations: int) -> Any:
    """All products of one training step. The memory reads x alone: it is walked beforehand."""
    hidden, latent = nets["lstm_h"][0].shape[1], nets["prior"][0].shape[1]

    def remember(h: jax.Array, from_x: jax.Array) -> tuple[jax.Array, tuple]:
        gates = from_x + forward(nets["lstm_h"], h)[0]
        return fit(gates, hidden) * 1e-2, (h, gates)

    gates_x = forward(nets["lstm_x"], xs)[0]
    hs, gates = jax.lax.scan(remember, jnp.zeros((xs.shape[1], hidden)), gates_x)[1]
    to_prior, to_likelihood = (forward(nets[name], hs)[0] for name in ("prior_h", "likelihood_h"))

    def step(z: jax.Array, from_h: tuple) -> tuple[jax.Array, tuple]:
        first, read = forward(nets["prior"][:1], z)
        q, rest = forward(nets["prior"][1:], first + from_h[0])
        q, update_read = search(nets, q, from_h[1], num_iterations)
        z = fit(q, latent) * 1e-2
        return z, (z, read + rest, update_read)

    start = jnp.zeros((xs.shape[1], latent))
    zs, prior_read, update_read = jax.lax.scan(step, start, (to_prior, to_likelihood))[1]
    # The M-step, all steps at once.
    _, to_h, gradients = score_gradients(nets, zs, to_likelihood, hs)
    received = inner_gradients(nets["prior"], fit(hs, 2 * latent))
    gradients += [weight_gradients(prior_read, received), weight_gradients([hs], received[:1])]
    to_h += backward(nets["prior_h"], received[0])[0]
    to_gates = back_through_time(nets, to_h, gates)
    gradients += [weight_gradients([value], [to_gates]) for value in (xs, hs)]
    return gradients + update_gradients(nets, update_read)
