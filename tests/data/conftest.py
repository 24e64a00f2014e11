import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("data", deadline=None, database=None)
settings.load_profile("data")
FOLDER = Path(os.environ.get("AVFKIT_DATA", ""))  # tests may unset the variable


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with the data sets, named by AVFKIT_DATA."""
    if not (FOLDER / "timit_sample").is_dir():
        pytest.skip("AVFKIT_DATA names no folder that holds timit_sample/")
    return FOLDER


@pytest.fixture
def music_folder() -> Path:
    """The folder with the original music sets, named by AVFKIT_DATA."""
    if not (FOLDER / "music" / "jsb.npz").is_file():
        pytest.skip("AVFKIT_DATA names no folder that holds music/jsb.npz")
    return FOLDER / "music"
