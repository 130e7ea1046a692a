"""One run on several devices: processes that train together. `group` is what they tell each other; start there."""
