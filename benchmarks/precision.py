"""What matrix products of fewer digits cost in nats, when a model is trained with them.

No claim: the loss is stated. `avfkit train PRESET --set precision=bfloat16` (or `tf32`) rounds the
factors of all products of a training step on a GPU, and adds them up in float32. There it is run as
it is, and timed. A CPU has no such product; the same rounding is emulated, which says what the
digits cost, and nothing about speed: factors are rounded to the nearest of 7 or 10 bits after the
point, and multiplied in float32. Run from the repository's root, with the extra `cli`:

    python benchmarks/precision.py
    python benchmarks/precision.py --pairs vrnn-jsb-small/own/100 --seeds 0 1

A pair is a preset, a way to infer and a number of training steps. It is trained from the same seeds
with each precision; validation and test are in float32, as with the option, and what asks for all
digits keeps them, above all message passing. When emulated, there is also what noise does: 20 bits
of 23, which nobody would miss, but training takes another path. Before anything is trained, values
and gradients of emulated products inside a loop must be those of factors that NumPy has rounded,
and message passing must not change.

Writes `benchmarks/results/precision_cpu.json` (or `_gpu`): nats per step of the test part, and how
many more than with float32, seed by seed: median and range. On a GPU also how long the gradient of
a VRNN-TIMIT batch takes in float32, over each precision, in turns.
"""

import argparse
import tempfile
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from compile_time import KEY, PRESETS, Batch, tree_of
from jax._src.lax.lax import _dot_general_lower  # what a rule of our own falls back on
from jax.interpreters import mlir
from measure import interleaved, provenance, ratio, spread, write

import avfkit
from avfkit import kalman, train
from avfkit_experiments import Choice, presets
from avfkit_experiments import train as trained
from avfkit_experiments._precision import products

BITS = {"float32": 23, "20 bits": 20, "tf32": 10, "bfloat16": 7}  # after the point
PAIRS = ["lds-D3-N5-q0.1-r0.1/svae/600", "vrnn-jsb-small/avf/200"]


def emulate(bits: int) -> None:
    """From now on what is compiled rounds the factors of products that ask for no precision."""

    def rounded(lhs: jax.Array, rhs: jax.Array, **options: Any) -> jax.Array:
        factors = (jax.lax.reduce_precision(each, 8, bits) for each in (lhs, rhs))
        highest = (jax.lax.Precision.HIGHEST,) * 2
        return jax.lax.dot_general_p.bind(*factors, precision=highest, **options)

    def rule(context: Any, *factors: Any, precision: Any, **options: Any) -> Any:
        if precision is None and bits < BITS["float32"]:
            return mlir.lower_fun(rounded, multiple_results=False)(context, *factors, **options)
        known = {"precision": precision, "platform": "cpu"}
        return _dot_general_lower(context, *factors, **known, **options)

    mlir.register_lowering(jax.lax.dot_general_p, rule, platform="cpu")
    jax.clear_caches()


def by_numpy(array: np.ndarray, bits: int) -> np.ndarray:
    """Round to so many bits after the point, the nearest, and of two the even one."""
    whole, spare = np.asarray(array, np.float32).view(np.uint32), 23 - bits
    if not spare:
        return whole.view(np.float32)
    half = np.uint32((1 << (spare - 1)) - 1) + (whole >> np.uint32(spare) & np.uint32(1))
    return ((whole + half) >> np.uint32(spare) << np.uint32(spare)).view(np.float32)


def check(bits: int) -> None:
    """Compare products in a loop, and message passing, with what they should be.

    Raises:
        AssertionError: they are not the same.
    """
    rng = np.random.default_rng(0)
    xs, w = (rng.normal(size=s).astype(np.float32) for s in ((4, 5, 6), (6, 3)))

    def total(xs: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
        ys = jax.lax.scan(lambda _, x: (None, jax.vmap(lambda row: row @ w)(x)), None, xs)[1]
        return 0.5 * jnp.sum(ys**2), ys

    (_, ys), slope = jax.jit(jax.value_and_grad(total, argnums=1, has_aux=True))(xs, w)
    wanted = by_numpy(xs, bits) @ by_numpy(w, bits)
    np.testing.assert_allclose(ys, wanted, rtol=1e-5, atol=1e-5)
    wanted = np.einsum("tni,tno->io", by_numpy(xs, bits), by_numpy(np.asarray(ys), bits))
    np.testing.assert_allclose(slope, wanted, rtol=1e-5, atol=1e-5)
    eye, ones = jnp.eye(3), jnp.ones(3)
    chain = kalman.Chain(ones, eye, 0.9 * eye + 0.01, ones, eye)
    potentials = kalman.full_potentials(jnp.asarray(xs[0, :, :3]), jnp.stack([eye + 0.1] * 5))
    found = kalman.posterior(chain, potentials)[1]
    with jax.default_matmul_precision("highest"):
        np.testing.assert_array_equal(found, kalman.posterior(chain, potentials)[1])


def nats(pair: str, seed: int, settings: tuple[str, ...]) -> float:
    """Nats per step of the test part after training, which alone is rounded."""
    name, inference, steps = pair.split("/")
    choice = Choice(
        inference,
        seed=seed,
        iterations=1 if inference == "avf" else None,
        steps=int(steps),
        settings=settings,
    )
    with tempfile.TemporaryDirectory() as folder, jax.default_matmul_precision("float32"):
        found = trained(presets.PRESETS[name], choice, folder=folder).result
    return found["test"]["free_energy_per_step"]["all_steps"]


def float32_over(names: list[str], preset: str, rounds: int) -> dict[str, Any]:
    """How many times as long a gradient takes in float32, by the clock."""
    build, _, depth, size, steps = PRESETS[preset]
    tree, loss = tree_of(build, 1, depth, False), train.batch_loss(avfkit.free_energy)
    shape = size, steps, tree[0].obs_size
    batch = Batch(jax.random.normal(KEY, shape), jnp.ones(shape[:2], bool))

    @eqx.filter_jit
    def slope(tree: tuple, batch: Batch) -> tuple:
        value = lambda tree: loss(tree, batch, key=KEY, step=jnp.array(0))[0]  # noqa: E731
        return eqx.filter_grad(value)(tree)

    def work(name: str) -> Any:
        with products(name):
            return jax.block_until_ready(slope(tree, batch))

    calls = {name: lambda name=name: work(name) for name in names}
    walls = {name: each["wall"] for name, each in interleaved(calls, rounds).items()}
    return {name: ratio(walls["float32"], walls[name]) for name in names if name != "float32"}


def summarised(found: dict[str, list[float]]) -> dict[str, Any]:
    """Nats of each precision, and how many more than with float32."""
    result: dict[str, Any] = {"seeds": len(found["float32"])}
    for name, each in found.items():
        more = [round(a - b, 4) + 0.0 for a, b in zip(each, found["float32"], strict=True)]
        result[name] = {"nats_per_step": spread(each, 4), "more_than_float32": spread(more, 4)}
    return result


def main() -> None:
    """Check, train, and write after each seed of a pair."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", nargs="+", default=PAIRS, help="PRESET/INFERENCE/STEPS")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, default=20, help="turns of a gradient, on a GPU")
    chosen = parser.parse_args()
    backend = jax.default_backend()
    emulated = backend == "cpu"
    names = [name for name in BITS if emulated or name != "20 bits"]
    result: dict[str, Any] = {"emulated": emulated, "pairs": {}}
    result["provenance"] = provenance("optax")
    jax.config.update("jax_compilation_cache_dir", tempfile.mkdtemp())  # for other seeds
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    for name in names if emulated else []:
        emulate(BITS[name])
        check(BITS[name])
    if not emulated:
        result["float32_over"] = float32_over(names, "vrnn-timit", chosen.rounds)
    for pair in chosen.pairs:
        found: dict[str, list[float]] = {name: [] for name in names}
        for seed in chosen.seeds:
            for name in names:
                if emulated:
                    emulate(BITS[name])
                found[name].append(nats(pair, seed, () if emulated else (f"precision={name}",)))
                print(pair, seed, name, found[name][-1], flush=True)
            result["pairs"][pair] = summarised(found)
            write(f"precision_{backend}", result, quiet=True)


if __name__ == "__main__":
    main()
