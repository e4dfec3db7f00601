//! Reconcilers over the Kubernetes API.
