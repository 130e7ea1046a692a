"""What each training service accepts, as data files with a date. Knows rules and their sources; checks nothing."""

from __future__ import annotations

from tunekit.data.profiles.profile import Ending as Ending
from tunekit.data.profiles.profile import Profile as Profile
from tunekit.data.profiles.profile import profile_of as profile_of
