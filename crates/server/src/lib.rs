//! The rooms composed: listeners, one handler per API, metrics and admin HTTP.
