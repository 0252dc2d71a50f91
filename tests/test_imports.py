"""The house: rooms on floors, imports that point down, and pure parts that know arrays only."""

import ast
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "ganfp_jax"
# From the top down; the rooms of one line do not import each other.
FLOORS = (
    ("", "main", "demo"),
    ("jobs",),
    ("attribution", "generation"),
    ("interop",),
    ("training",),
    ("audit",),
    ("report",),
    ("baselines",),
    ("metrics",),
    ("models",),
    ("data",),
    ("run",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
STEPS = ("gan_step", "attribution_step", "fingerprint_step", "objectives", "state")
PURE = ("models", "data.views", "attribution.voting", *(f"training.{step}" for step in STEPS))
NOT_FOR_ARRAYS = {"pathlib", "os", "json", "io"}
ONLY_IN = {"orbax": "training", "absl": "run", "tensorflow_datasets": "data", "gradio": "demo"}
ONLY_IN |= {"ncnn": "generation", "onnx": "interop", "huggingface_hub": "interop"}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(module: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(MODULES[module].read_text())))
    whole = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    parts = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return whole | {node.module for node in parts} | {f"{n.module}.{alias.name}" for n in parts for alias in n.names}


@pytest.mark.parametrize("module", [module for module in MODULES if module])
def test_imports_point_down(module):
    room, libraries = module.split(".")[0], set()
    for name in imports(module):
        top, _, rest = name.partition(".")
        target = rest.split(".")[0]
        if top != "ganfp_jax":
            libraries.add(top)
        elif target in FLOOR and target != room and rest:
            assert FLOOR[target] > FLOOR[room], f"{module} imports {name}, whose room is not below its own"
        assert target != "jobs" or room in ("main", "jobs"), f"{module} imports {name}: only main imports jobs"
        assert not (room == "jobs" and target == "jobs" and rest.split(".")[1:2] != module.split(".")[1:2]), name
    assert all(ONLY_IN.get(library, room) == room for library in libraries), f"{module} imports {libraries}"
    assert "onnxruntime" not in libraries or room in ("generation", "jobs")
    if module.startswith(PURE) and not module.startswith("models.cpu"):
        assert (
            not libraries & NOT_FOR_ARRAYS
            and libraries <= {"jax", "flax", "optax", "numpy", "scipy", "jaxtyping"} | STANDARD
        )


STANDARD = set(sys.stdlib_module_names)


def test_main_answers_before_jax_is_imported():
    heavy = {"jax", "flax", "orbax", "sklearn", "matplotlib", "numpy"}
    for module in ("main", "jobs", "run", "run.run_folder", "run.errors", "run.variants", "", "demo", "demo.__main__"):
        body = ast.parse(MODULES[module].read_text()).body
        names = {alias.name for node in body if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in body if isinstance(node, ast.ImportFrom) and node.module}
        assert not heavy & {name.split(".")[0] for name in names}
