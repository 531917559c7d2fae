"""Raw data sets to stores: what is to be done, by whom, and what came of it."""

from physkit.core.callable_room import make_callable

make_callable(__name__, "physkit.prepare.run:prepare")
