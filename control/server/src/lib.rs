//! Assembly of the control plane: PKI, bootstrap objects, start and stop order.
