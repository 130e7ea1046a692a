"""Better or as before: versions, aliases, gates, and what retrains unattended. Knows jobs and evaluations below it."""
