"""The pages and the API of a registry: ``weightkin serve``, extra ``[web]``.

`serving` opens the socket, `connections` closes who keeps one waiting; `app` joins the parts;
`guard` stands before all of them (host, origin, token, sizes, headers). `api` answers programs and
`pages` people, both from the registry and from `jobs`, the file of what was asked for; `running`
gives every job a process of its own, which does one function of `work`. `uploads` holds the files
of searches until these are over. `job_service` makes every question a job. A visitor names
registered models or uploads a sketch; no path that a visitor sends is ever opened.
"""
