"""The state of an interrupted run, in a folder that is deleted when the run is finished."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from accelerate import Accelerator

FOLDER = Path(__file__).parents[1] / "checkpoints" / "accuracy"


class Checkpoint:
    """The newest state that was saved whole.

    Args:
        folder: of this run.
        terms: what must not change within a run, such as its recipe.
    """

    def __init__(self, folder: Path, terms: dict[str, Any]) -> None:
        self.folder = folder
        self.terms = json.loads(json.dumps(terms))

    def save(self, accelerator: Accelerator, epoch: int) -> None:
        """Save the accelerator's state. If the process is killed meanwhile, the state before stays."""
        partial = self.folder / "partial"
        accelerator.save_state(str(partial))
        (partial / "terms.json").write_text(json.dumps(self.terms))
        partial.rename(self.folder / f"{epoch}")
        for older in self._states()[:-1]:
            shutil.rmtree(older)

    def load(self, accelerator: Accelerator) -> None:
        """Load the newest state, if there is one.

        Raises:
            SystemExit: with one line, if the terms were others.
        """
        if not self._states():
            return
        state = self._states()[-1]
        if json.loads((state / "terms.json").read_text()) != self.terms:
            reason = "an interrupted run with another recipe, precision or data"
            raise SystemExit(f"{self.folder}: {reason}; finish it with those, or delete it")
        accelerator.load_state(str(state))

    def delete(self) -> None:
        """Delete all states."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _states(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*"), key=lambda state: int(state.name))
