"""Examples of how another Dagger module calls Slipway. The Daggerverse shows each at the function that its name ends in."""

from .main import Examples as Examples
