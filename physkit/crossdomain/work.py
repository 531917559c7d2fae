"""The trainings and cells of a matrix, done one after the other whatever fails."""

from collections.abc import Mapping
from pathlib import Path

import yaml

from physkit.core.causes import cause_of
from physkit.core.config import to_yaml
from physkit.core.progress import ProgressBar
from physkit.crossdomain.cells import (
    Figures,
    Network,
    cell_folder,
    fixed_network,
    make_cell,
)
from physkit.crossdomain.config import CrossdomainConfig
from physkit.crossdomain.plan import Cell, MatrixPlan, Training
from physkit.crossdomain.result import CrossdomainResult, Failure, TestedData
from physkit.crossdomain.trainings import Trained, config_of, train
from physkit.data.people import People
from physkit.train.run.config import FitConfig


class Work:
    """The trainings and cells of a plan, done one after the other."""

    def __init__(
        self,
        config: CrossdomainConfig,
        data: Mapping[str, People],
        plan: MatrixPlan,
        *,
        progress: bool,
    ) -> None:
        self.config, self.data, self.plan, self.progress = config, data, plan, progress
        self.fits: dict[Training, FitConfig] = {
            training: config_of(training, config, data, Path(config.out))
            for training in plan.trainings
        }
        self.fixed: dict[str, Network] = {model: fixed_network(model) for model in config.models}
        self.trained: dict[Training, Trained] = {}
        self.untrained: dict[Training, str] = {}
        self.figures: dict[Cell, Figures] = {}
        self.failures: dict[Cell, Failure] = {}

    def do_all(self) -> None:
        """Row by row, so that whole rows are finished early."""
        n_steps = len(self.plan.trainings) + len(self.plan.cells)
        with ProgressBar(total=n_steps, unit="step", shown=self.progress) as bar:
            for cell in self.plan.cells:
                for reading in cell.readings:
                    if reading.training and not self._is_tried(reading.training):
                        bar.set_description(f"train {reading.training.name}")
                        self._train(reading.training)
                        bar.update()
                bar.set_description(f"test {cell.name}")
                self._test(cell)
                bar.update()

    def _is_tried(self, training: Training) -> bool:
        return training in self.trained or training in self.untrained

    def _train(self, training: Training) -> None:
        try:
            self.trained[training] = train(training, self.fits[training], progress=self.progress)
        except Exception as error:  # noqa: BLE001 (told as a failure: the others must go on)
            self.untrained[training] = cause_of(error)

    def _test(self, cell: Cell) -> None:
        causes = {
            reading.training.name: self.untrained[reading.training]
            for reading in cell.readings
            if reading.training in self.untrained
        }
        if causes:
            told = "; ".join(f"training {name}: {cause}" for name, cause in causes.items())
            self.failures[cell] = Failure(cell.name, told)
            return
        networks = [self._network(cell, reading.training) for reading in cell.readings]
        folder = cell_folder(cell, networks, self.config, self.data, Path(self.config.out))
        try:
            self.figures[cell] = make_cell(
                cell, networks, self.config, self.data, folder, progress=self.progress
            )
        except Exception as error:  # noqa: BLE001 (told as a failure: the others must go on)
            self.failures[cell] = Failure(cell.name, cause_of(error))

    def _network(self, cell: Cell, training: Training | None) -> Network:
        if training is None:
            return self.fixed[cell.row]
        trained = self.trained[training]
        return Network("auto", trained.weights, trained.sha256)

    def result(self, seconds: float) -> CrossdomainResult:
        """What came of it."""
        return CrossdomainResult(
            plan=self.plan,
            data=tuple(_told(people) for people in self.data.values()),
            figures=self.figures,
            trained=tuple(self.trained.values()),
            failures=self.failures,
            settings=yaml.safe_load(to_yaml(self.config)),
            notes=self._notes(),
            out=Path(self.config.out),
            seconds=round(seconds, 1),
        )

    def _notes(self) -> tuple[str, ...]:
        notes = [note for people in self.data.values() for note in people.notes]
        partly = [self._share(cell) for cell in self.plan.cells if _is_partial(cell)]
        if partly:
            notes.append(f"not everyone is tested: {', '.join(partly)}")
        if any(fit.trainer.max_minutes for fit in self.fits.values()):
            notes.append("max_minutes ends trainings by the clock, so another run gives others")
        return tuple(notes)

    def _share(self, cell: Cell) -> str:
        n_tested = sum(len(reading.part.subjects) for reading in cell.readings)
        n_all = len(self.data[cell.column].subjects)
        n_read = len(cell.readings)
        return f"{cell.name} {n_tested} of {n_all} people ({n_read} of {cell.n_folds} folds)"


def _is_partial(cell: Cell) -> bool:
    return cell.n_folds is not None and len(cell.readings) < cell.n_folds


def _told(people: People) -> TestedData:
    return TestedData(
        name=people.name,
        store=people.config.store,
        dataset=people.store.dataset,
        split=people.division,
        n_subjects=len(people.subjects),
        n_recordings=len(people.recordings(people.subjects)),
        checksum=people.checksum(people.subjects),
    )
