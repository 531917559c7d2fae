"""Train on each data set, test on each: the plan, the trainings, the cells, the matrix."""

from physkit.core.callable_room import make_callable

make_callable(__name__, "physkit.crossdomain.run:crossdomain")
