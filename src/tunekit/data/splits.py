from tunekit.data.splitting.ranks import sample, whole
from tunekit.data.splitting.split import Stratify, split
