"""A service whose model is retrained on new data: what its engineer copies. See README.md.

`pipeline` says what is trained and how; `app`, `worker`, `cron` and `celery_tasks` are ways to run it.
"""
