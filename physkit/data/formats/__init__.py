"""File formats that several data sets share: MATLAB, AVI, label files."""
