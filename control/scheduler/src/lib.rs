//! Filter, score and bind pods to nodes.
