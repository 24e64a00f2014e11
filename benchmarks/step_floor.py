"""How far a training step of AVF is from the matrix products it cannot do without.

Claim: at VRNN-TIMIT size a step costs at most 1.6 times its own products, timed alone in the same
run. Run from the repository's root:

    python benchmarks/step_floor.py

Both sides run in float32 on the same threads, in turn. The floor has the products of one step and
nothing else: no activation, no likelihood, no random number, no optimizer. Each product appears as
often as the algorithm needs it and no more (the state's part of the likelihood's first layer once
for all iterations, for instance), in a scan where it waits for the product before it, and as one
large product over all steps where it does not: every weight gradient, the network behind x, the
backward passes of prior, likelihood and update network.

Writes `benchmarks/results/step_floor.json`.
"""

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from measure import interleaved, provenance, ratio, summary, write

import avfkit
from avfkit import train

OBS, LATENT, HIDDEN, WIDTH_X, WIDTH_Z, UPDATE = 200, 200, 2000, 600, 500, 1024
BATCH, STEPS = 64, 40


class Batch(eqx.Module):
    """What `batch_loss` reads."""

    x: jax.Array
    observed: jax.Array


def step_of_avf(num_iterations: int) -> Callable[[], Any]:
    """One optimizer step, state donated, on the same batch again and again."""
    model_key, update_key, data_key, key = jr.split(jr.key(0), 4)
    head = partial(avfkit.nn.DiscretisedGaussianHead, window=1.8e-3, centred=False)
    model = avfkit.VRNN(
        OBS,
        LATENT,
        hidden_size=HIDDEN,
        width=WIDTH_Z,
        obs_width=WIDTH_X,
        depth=4,
        head=head,
        key=model_key,
    )
    update = avfkit.LearnedUpdate(model, width=UPDATE, depth=2, key=update_key)
    tree = (model, avfkit.IterativeFilter(update, num_iterations))
    batch = Batch(jr.normal(data_key, (BATCH, STEPS, OBS)), jnp.ones((BATCH, STEPS), bool))
    optimizer, loss = optax.adam(1e-4), train.batch_loss(avfkit.free_energy)

    @eqx.filter_jit(donate="all-except-first")
    def advance(inputs: tuple, state: tuple) -> tuple:
        batch, key = inputs
        tree, opt_state = state
        grads = eqx.filter_grad(lambda tree: loss(tree, batch, key=key, step=jnp.array(0))[0])(tree)
        updates, opt_state = optimizer.update(grads, opt_state)
        return eqx.apply_updates(tree, updates), opt_state

    state = [(tree, optimizer.init(eqx.filter(tree, eqx.is_inexact_array)))]

    def work() -> None:
        state[0] = jax.block_until_ready(advance((batch, key), state[0]))

    return work


Network = list[jax.Array]  # the matrices of its layers, [in, out] each


def network(*sizes: int, key: jax.Array) -> Network:
    """A network; the halves, thirds or quarters of a layer's output may be summed for the next."""
    pairs = zip(sizes[:-1], sizes[1:], jr.split(key, len(sizes) - 1), strict=True)
    return [jr.normal(k, (a, b)) / a**0.5 for a, b, k in pairs]


def fit(value: jax.Array, size: int) -> jax.Array:
    """Bring a value to the size the next product wants, by repeating it or by summing its parts."""
    if value.shape[-1] < size:
        return jnp.tile(value, size // value.shape[-1])
    return value.reshape(*value.shape[:-1], -1, size).sum(-2)


def forward(layers: Network, value: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
    """The output, and what each layer reads."""
    read = []
    for layer in layers:
        read.append(fit(value, layer.shape[0]))
        value = read[-1] @ layer
    return value, read


def backward(layers: Network, value: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
    """The gradient of the input, and of each layer's output."""
    received = []
    for layer in reversed(layers):
        received.insert(0, fit(value, layer.shape[1]))
        value = received[0] @ layer.T
    return value, received


def weight_gradients(read: list[jax.Array], received: list[jax.Array]) -> Network:
    """One product for each layer, over all steps and sequences at once."""
    return [jnp.einsum("...i,...o->io", a, b) for a, b in zip(read, received, strict=True)]


def layers(*, key: jax.Array) -> dict[str, Network]:
    """The networks of VRNN-TIMIT and of its update; first layers are split by what they read."""
    shapes = {
        "x": (OBS, *[WIDTH_X] * 4),
        "z": (LATENT, *[WIDTH_Z] * 4),
        "prior": (HIDDEN, *[WIDTH_Z] * 4, 2 * LATENT),
        "likelihood": (WIDTH_Z, *[WIDTH_X] * 4, 2 * OBS),
        "likelihood_h": (HIDDEN, WIDTH_X),
        "lstm_x": (WIDTH_X, 4 * HIDDEN),
        "lstm_z": (WIDTH_Z, 4 * HIDDEN),
        "lstm_h": (HIDDEN, 4 * HIDDEN),
    }
    nets = {name: network(*shape, key=key) for name, shape in shapes.items()}
    trunk = network(4 * LATENT, 3 * UPDATE, key=key) + network(UPDATE, 2 * UPDATE, key=key)
    return nets | {"update": trunk + network(UPDATE, 4 * LATENT, key=key)}


def e_step(nets: dict[str, Network], h: jax.Array, num_iterations: int) -> tuple:
    """The prior, K iterations, and the features of the final z: what one step waits for."""
    q, prior_read = forward(nets["prior"], h)
    from_h = forward(nets["likelihood_h"], h)[0]
    update_read = []
    for iteration in range(num_iterations + 1):
        z = fit(q, LATENT)
        features = forward(nets["z"], z)[0]
        hidden = forward(nets["likelihood"][:1], features)[0] + from_h
        prediction = forward(nets["likelihood"][1:], hidden)[0]
        gradient = backward(nets["z"], backward(nets["likelihood"], prediction)[0])[0]
        if iteration < num_iterations:
            estimate = jnp.concatenate([fit(gradient, 2 * LATENT), fit(q, 2 * LATENT)], -1)
            q, read = forward(nets["update"], estimate)
            update_read.append(read)
    features, z_read = forward(nets["z"], fit(q, LATENT))
    return features, from_h, (prior_read, z_read, update_read)


def floor(nets: dict[str, Network], xs: jax.Array, *, num_iterations: int) -> Any:
    """All products of one training step."""
    features_x, x_read = forward(nets["x"], xs)
    gates_x = forward(nets["lstm_x"], features_x)[0]

    def step(h: jax.Array, from_x: jax.Array) -> tuple[jax.Array, tuple]:
        features, from_h, read = e_step(nets, h, num_iterations)
        gates = from_x + features @ nets["lstm_z"][0] + h @ nets["lstm_h"][0]
        return fit(gates, HIDDEN) * 1e-2, (h, features, gates, from_h, read)

    start = jnp.zeros((xs.shape[1], HIDDEN))
    hs, features_z, gates, from_h, (prior_read, z_read, update_read) = jax.lax.scan(
        step, start, gates_x
    )[1]
    # The M-step: everything but the recurrence itself has all steps at once.
    first, read = forward(nets["likelihood"][:1], features_z)
    output, rest = forward(nets["likelihood"][1:], first + from_h)
    to_features, received = backward(nets["likelihood"], output)
    gradients = [weight_gradients(read + rest, received)]
    gradients += [weight_gradients([hs], received[:1])]
    to_h = backward(nets["likelihood_h"], received[0])[0]
    back, received = backward(nets["prior"], fit(hs, 2 * LATENT))
    gradients += [weight_gradients(prior_read, received)]

    def back_step(to_h: jax.Array, inputs: tuple) -> tuple[jax.Array, jax.Array]:
        direct, gates = inputs
        to_gates = gates + fit(to_h, 4 * HIDDEN)
        return (direct + to_gates @ nets["lstm_h"][0].T) * 1e-2, to_gates

    to_gates = jax.lax.scan(back_step, start, (to_h + back, gates), reverse=True)[1]
    for value in (features_x, features_z, hs):
        gradients += [weight_gradients([value], [to_gates])]
    to_features += to_gates @ nets["lstm_z"][0].T
    gradients += [weight_gradients(z_read, inner_gradients(nets["z"], to_features))]
    to_features = to_gates @ nets["lstm_x"][0].T
    gradients += [weight_gradients(x_read, inner_gradients(nets["x"], to_features))]
    for read in update_read:
        received = inner_gradients(nets["update"], read[-1][..., : 4 * LATENT])
        gradients += [weight_gradients(read, received)]
    return gradients


def inner_gradients(layers: Network, value: jax.Array) -> list[jax.Array]:
    """The gradient of each layer's output; nobody asks for that of the network's input."""
    below, received = backward(layers[1:], value)
    return [fit(below, layers[0].shape[1]), *received]


def make_floor(num_iterations: int) -> Callable[[], Any]:
    """The products of one step, compiled."""
    nets_key, data_key = jr.split(jr.key(0))
    nets, xs = layers(key=nets_key), jr.normal(data_key, (STEPS, BATCH, OBS))
    products = jax.jit(partial(floor, num_iterations=num_iterations))
    return lambda: jax.block_until_ready(products(nets, xs))


def main() -> None:
    """Measure K = 1 and K = 2 and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="turns of each competitor")
    parser.add_argument("--iterations", type=int, nargs="+", default=[1, 2], help="K")
    arguments = parser.parse_args()
    result: dict[str, Any] = {"claim": {"step_over_floor": 1.6}, "batch": BATCH, "steps": STEPS}
    result |= {"rounds": arguments.rounds, "provenance": provenance("optax")}
    for count in arguments.iterations:
        competitors = {"avf": step_of_avf(count), "floor": make_floor(count)}
        times = interleaved(competitors, arguments.rounds)
        walls = {name: time["wall"] for name, time in times.items()}
        result[f"K={count}"] = {name: summary(wall) for name, wall in walls.items()} | {
            "avf_over_floor": ratio(walls["avf"], walls["floor"])
        }
    write("step_floor", result)


if __name__ == "__main__":
    main()
