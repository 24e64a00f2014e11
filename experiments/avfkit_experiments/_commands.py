"""The command line: `avfkit presets`, `train`, `sweep`, `evaluate` and `sample`."""

import difflib
import json
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from avfkit import train as training

from ._cluster import is_first, join
from ._inference import INFERENCES, parameter_counts
from ._keys import key_of
from ._preset import Preset
from ._run import Outcome
from ._samples import context_of, write_samples
from ._sweep import sweep
from ._train import Choice, evaluate, restore, train
from .presets import PRESETS, SHARED

_FOLDER = click.Path(file_okay=False, path_type=Path)
_data = click.option("--data", type=_FOLDER, help="Folder of the data set.")
_AT_LEAST_1 = click.IntRange(min=1)
_RANGES = "NAME=A,B,..., NAME=LOW:HIGH or NAME=LOW:HIGH:log; may be given again."
_CHOICE = [
    click.option("--inference", type=click.Choice(INFERENCES), default="own", show_default=True),
    click.option(
        "--iterations", type=_AT_LEAST_1, help="K of avf and vfem [default: the preset's]."
    ),
    click.option(
        "--samples",
        type=_AT_LEAST_1,
        default=1,
        show_default=True,
        help="Of the E-step's expectation (avf, vfem); else paths of each sequence.",
    ),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
    click.option("--latent", type=_AT_LEAST_1, help="Entries of the latent, where one may choose."),
    click.option("--detached", is_flag=True, help="Train own in AVF's detached EM scheme."),
    click.option("--steps", type=_AT_LEAST_1, help="Training steps [default: the preset's]."),
    click.option("--set", "settings", multiple=True, help="Change the recipe, e.g. batch_size=8."),
]


def _choice(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that make a `Choice`."""
    for option in reversed(_CHOICE):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="avfkit")
def avfkit() -> None:
    """Variational filtering: train, evaluate and sample the experiments of the papers."""


@avfkit.command()
@click.argument("names", nargs=-1, metavar="[PRESET]...")
@click.pass_obj
def presets(known: Mapping[str, Preset] | None, names: tuple[str, ...]) -> None:
    """List what can be trained: model, data, parameters, what differs from the paper."""
    known = PRESETS if known is None else known
    for preset in [_find(name, known) for name in names] or known.values():
        theta, own = parameter_counts(preset, "own")
        _, avf = parameter_counts(preset, "avf")
        click.echo(f"{preset.name}\n    {preset.title}")
        click.echo(f"    parameters: theta {theta:,}; phi {own:,} (own), {avf:,} (avf)")
        click.echo(f"    data: {preset.data}\n    differs: {preset.differs}")
    click.echo(textwrap.indent(textwrap.fill(f"all presets: {SHARED}.", 92), "    "))


@avfkit.command("train")
@click.argument("preset")
@_choice
@click.option("--mask", type=float, help="Share of the steps that a window hides in training.")
@_data
@click.option("--out", type=_FOLDER, help="Folder of the run [default: runs/PRESET/...].")
@click.option("--progress/--no-progress", default=True, help="Draw a bar on standard error.")
@click.option("--quiet", is_flag=True, help="Print nothing at all.")
@click.option("--processes", help="One of several: auto (Slurm, MPI, ...), or I/N@HOST:PORT.")
@click.pass_obj
def train_command(
    known: Mapping[str, Preset] | None, preset: str, progress: bool, quiet: bool, **options: Any
) -> None:
    """Train PRESET, score the whole test set and write result.json.

    The same command run again goes on where it was interrupted. The folder also gets the weights
    (weights.avfkit), the metrics and the checkpoint of the run. Batches are divided among all
    devices, of every process if there are several; only the first process writes.
    """
    found = _find(preset, PRESETS if known is None else known)
    data, out, mask = options.pop("data"), options.pop("out"), options.pop("mask")
    processes = options.pop("processes")
    if mask is not None:
        options["settings"] += (f"mask={mask:g}",)
    with _errors():
        if processes:
            join(processes)
        choice = Choice(**options)
        out = out or _folder(choice.of(found), found.latent, mask)
        shown = training.TqdmProgress() if progress and not quiet else training.NoProgress()
        outcome = train(found, choice, folder=out, data=data, progress=shown)
    if not quiet and is_first():
        click.echo(_summary(outcome, out))


@avfkit.command("sweep")
@click.argument("preset")
@_choice
@click.option("--range", "texts", multiple=True, required=True, help=_RANGES)
@click.option("--trials", type=_AT_LEAST_1, required=True, help="Of all workers together.")
@click.option("--store", required=True, help="A file, or the URL of a data base, that all share.")
@_data
@click.option("--out", type=_FOLDER, help="Folder of the trials [default: runs/PRESET/sweep].")
@click.pass_obj
def sweep_command(
    known: Mapping[str, Preset] | None, preset: str, texts: tuple[str, ...], **options: Any
) -> None:
    """Search settings of the recipe of PRESET for the best score of the validation part.

    Any number of processes on any number of machines may run the same command; each takes the next
    trial from the store until there are enough. Needs optuna.
    """
    found = _find(preset, PRESETS if known is None else known)
    data, out = options.pop("data"), options.pop("out") or Path("runs") / preset / "sweep"
    where = {name: options.pop(name) for name in ("store", "trials")}
    with _errors():
        best = sweep(found, Choice(**options), texts, folder=out, data=data, **where)
    click.echo(f"best of {best['trials']} trials: number {best['number']}, {best['score']:.4f}")
    click.echo("\n".join(f"  {setting}" for setting in best["settings"]))


@avfkit.command("evaluate")
@click.argument("folder", type=_FOLDER)
@click.option("--iterations", type=_AT_LEAST_1, help="Another K, of avf or vfem.")
@click.option("--samples", type=_AT_LEAST_1, help="Another number of samples in the E-step.")
@click.option("--bounds", type=_AT_LEAST_1, help="Add IWAE and FIVO bounds with so many samples.")
@_data
@click.pass_obj
def evaluate_command(
    known: Mapping[str, Preset] | None, folder: Path, data: Path | None, **options: Any
) -> None:
    """Score the trained weights in FOLDER on the whole test set, and write evaluation-*.json."""
    with _errors():
        result = evaluate(folder, PRESETS if known is None else known, data=data, **options)
    click.echo(json.dumps(result["test"], indent=2))


@avfkit.command("sample")
@click.argument("folder", type=_FOLDER)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@click.option("--length", type=_AT_LEAST_1, help="Steps to draw [default: some seconds].")
@click.option("--context", type=click.IntRange(min=0), default=0, help="Go on after so many steps.")
@click.option("--sequence", type=click.IntRange(min=0), default=0, help="Of which test sequence.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@_data
@click.pass_obj
def sample_command(
    known: Mapping[str, Preset] | None,
    folder: Path,
    out: Path,
    data: Path | None,
    **options: int,
) -> None:
    """Draw from the trained model in FOLDER and write OUT: wav, MIDI or GIF by the kind of data.

    Without --context a sample of the prior; with it, a continuation of a test sequence.
    """
    with _errors():
        preset, _, tree = restore(folder, PRESETS if known is None else known)
        context = options["context"]
        test = preset.load(data).test if context else None
        given = None if test is None else context_of(test, options["sequence"], context)
        key = key_of("samples", options["seed"])
        length = options["length"]
        path = write_samples(out, preset, tree, length=length, given=given, key=key)
    click.echo(f"wrote {path}")


def _find(name: str, known: Mapping[str, Preset]) -> Preset:
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=4, cutoff=0.5)
    hint = f"Did you mean {', '.join(near)}?" if near else "`avfkit presets` lists them all."
    raise click.ClickException(f"there is no preset {name!r}. {hint}")


def _folder(known: Mapping[str, Any], latent: int | None, mask: float | None) -> Path:
    """Of a run: what is not as by default is in its name."""
    run = f"{known['inference']}-{known['iterations']}-{known['seed']}"
    run += f"-s{known['samples']}" if known["samples"] > 1 else ""
    run += f"-latent{known['latent']}" if known.get("latent") != latent else ""
    run += f"-mask{mask:g}" if mask else ""
    return Path("runs") / known["preset"] / (run + ("-detached" if known["detached"] else ""))


def _summary(outcome: Outcome, folder: Path) -> str:
    result = outcome.result
    energy = result["test"]["free_energy_per_step"]
    lines = [
        result["name"],
        f"compiled in {result['compile_seconds']:.1f} s, trained {result['steps_done']} steps",
        f"test free energy: {energy['all_steps']:.4f} nats per step over all steps, "
        f"{energy['mean_of_sequences']:.4f} as mean of sequences",
    ]
    latent, warning = len(result["test"]["kl_per_dimension"]), result["test"].get("warning")
    lines.append(f"active units of the latent: {result['test']['active_units']} of {latent}")
    lines += [f"warning: {warning}"] if warning else []
    for name, score in result["baselines"].items():
        lines.append(f"baseline, {name}: {score['all_steps']:.4f}")
    return "\n".join([*lines, f"wrote {folder / 'result.json'}"])


@contextmanager
def _errors() -> Iterator[None]:
    """What the user can mend is said in one line, without a traceback."""
    try:
        yield
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        raise click.ClickException(str(error)) from error
