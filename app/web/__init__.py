"""HTTP: routes, pages, problem details, owners and limits on what comes in. Decides nothing about turns or warms."""
