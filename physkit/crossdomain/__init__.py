"""Train on each data set, test on each: the plan, the trainings, the cells, the matrix."""
