"""Bad arguments: a right answer, or an error that names the argument, what was found and expected.

`AVFKIT_EXAMPLES=5000 pytest tests/bad_input -s` is the long run; it prints how many calls it made.
Most calls are traced only. What comes out is compared by `test_how_numbers_are_stored_...`, of what
compiles long in the long run only.
"""

import os
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from bad_input.registry import ENTRIES, REGISTRY, Entry, public_modules, public_names
from bad_input.ways import LAYOUTS, NO_NUMBERS, SAME_SHAPE, is_key, is_number, ways

EXAMPLES = int(os.environ.get("AVFKIT_EXAMPLES", "250"))
SHARE = -(-11 * EXAMPLES // (10 * len(ENTRIES)))  # of a function; some have fewer bad arguments
CALLS = []


def places(entry):
    """Where the arguments hold arrays, numbers and keys: paths and leaves.

    The insides of modules are not arguments: they were checked when they were made.
    """
    names = entry.spoilt or tuple(entry.arguments)
    chosen = {name: entry.arguments[name] for name in names}
    chosen = {n: v for n, v in chosen.items() if not isinstance(v, eqx.Module)}
    found = jax.tree_util.tree_leaves_with_path(chosen)
    return [(path, leaf) for path, leaf in found if eqx.is_array(leaf) or is_number(leaf)]


def called(entry, arguments):
    """The result; JAX's of a trace, so that nothing is compiled."""
    if not entry.traced:
        return entry.call(**arguments)
    return eqx.filter_eval_shape(lambda _: entry.call(**arguments), 0)


def names_it(message, entry):
    """Whether a message names an argument or a part of one, and says what was expected.

    Where two do not fit together, either may be named.
    """
    leaves = jax.tree_util.tree_leaves_with_path(entry.arguments)
    words = {"xs", "out_size"} | {
        w for p, _ in leaves for w in re.findall(r"[A-Za-z_]\w*", jax.tree_util.keystr(p))
    }
    named = any(re.search(rf"\b{word}\b", message) for word in words)
    return named and re.search(r"expect|must|accepts|needs|want", message) is not None


def check(name, entry, data):
    path, leaf = data.draw(st.sampled_from(places(entry)), label="place")
    found = ways(leaf, entry.costly)
    way = data.draw(st.sampled_from(sorted(found)), label="way")
    bad = found[way](leaf)
    bad = data.draw(bad) if isinstance(bad, st.SearchStrategy) else bad
    note(f"{name}: {jax.tree_util.keystr(path)} {way}: {repr(bad)[:200]}")
    arguments = jax.tree_util.tree_map_with_path(
        lambda p, a: bad if p == path else a, entry.arguments, is_leaf=lambda a: a is None
    )
    CALLS.append(name)
    try:
        result = called(entry, arguments)
    except (ValueError, TypeError) as error:
        assert names_it(str(error), entry), f"{type(error).__name__}: {str(error)[:300]}"
        assert way not in LAYOUTS, f"refused for its layout: {error}"
        return
    assert not entry.costly and way not in NO_NUMBERS, "was let through"
    if way in SAME_SHAPE:
        expected = called(entry, entry.arguments)
        same = jax.tree.map(
            lambda a, b: np.shape(a) == np.shape(b), *map(arrays, (result, expected))
        )
        assert all(jax.tree.leaves(same))


def arrays(tree):
    return [leaf for leaf in jax.tree.leaves(tree) if eqx.is_array_like(leaf)]


def spoil(name, entry, examples):
    """Call it with so many bad arguments, if there are so many."""

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],  # one argument is spoilt: there is nothing to shrink
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(data=st.data())
    def run(data):
        check(name, entry, data)

    run()


@pytest.mark.filterwarnings("ignore:A JAX array is being set as static")  # and then refused
@pytest.mark.parametrize("name", ENTRIES)
def test_bad_arguments_are_named_or_harmless(name):
    spoil(name, ENTRIES[name], SHARE)
    print(f"{len(CALLS)} calls of {len({*CALLS})} functions")


def test_there_were_as_many_calls_as_were_asked_for():
    assert len(CALLS) >= EXAMPLES or set(ENTRIES) - {*CALLS}, "of all functions together"


@pytest.mark.parametrize(
    "entry",
    [
        Entry(np.zeros, {"shape": 2}, traced=False),  # "negative dimensions are not allowed"
        Entry(lambda xs: xs.sum(), {"xs": np.ones(2)}),  # AttributeError
        Entry(lambda size: None, {"size": 2}, traced=False, costly=True),  # refuses nothing
    ],
)
def test_what_is_neither_named_nor_harmless_is_seen(entry):
    with pytest.raises((AssertionError, AttributeError)):
        spoil("toy", entry, 30)


def test_every_part_is_registered():
    assert public_modules() == set(REGISTRY)


@pytest.mark.parametrize("part", REGISTRY)
def test_every_public_name_is_registered(part):
    assert public_names(part) == {name.partition(".")[0] for name in REGISTRY[part]}


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if not entry.costly])
def test_good_arguments_are_good(name):
    called(ENTRIES[name], ENTRIES[name].arguments)


def floats_of(entry):
    """Where the arguments hold floating-point arrays."""
    found = [(path, leaf) for path, leaf in places(entry) if eqx.is_array(leaf)]
    return [path for path, leaf in found if jnp.issubdtype(leaf.dtype, jnp.floating)]


def computed(entry, stored):
    """The numbers that come out when the arguments' floating-point arrays are stored otherwise."""
    wanted = floats_of(entry)
    arguments = jax.tree_util.tree_map_with_path(
        lambda path, leaf: stored(np.asarray(leaf, np.float32)) if path in wanted else leaf,
        entry.arguments,
    )
    result = jax.tree.leaves(entry.call(**arguments))
    return [np.asarray(leaf) for leaf in result if eqx.is_array(leaf) and not is_key(leaf)]


def far_in_memory(array):
    """In double precision, no two entries side by side, and not to be written to."""
    array = array.astype(float)
    view = LAYOUTS["every second entry"](array) if array.ndim else array
    view.flags.writeable = False
    return view


def compiles_little(name, entry):
    """It takes nothing but arrays and numbers, and walks no sequence."""
    plain = all(eqx.is_array_like(argument) for argument in entry.arguments.values())
    return plain and not name.startswith(("kalman", "OnlineFilter"))


COMPUTING = [n for n, e in ENTRIES.items() if e.traced and not e.costly and floats_of(e)]
SHORT = [name for name in COMPUTING if compiles_little(name, ENTRIES[name])]


@pytest.mark.parametrize("name", COMPUTING if EXAMPLES >= 5000 else SHORT)
def test_how_numbers_are_stored_does_not_matter(name):
    entry = ENTRIES[name]
    double, far = (computed(entry, way) for way in (lambda a: a.astype(float), far_in_memory))
    for a, b in zip(far, double, strict=True):
        np.testing.assert_array_equal(a, b)
    if "key" not in entry.arguments:  # in single precision a key draws other numbers
        for a, b in zip(computed(entry, np.copy), double, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
