"""What an array of numbers is called in signatures."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
