//! Service: a stable address for the pods that a selector picks.

mod allocation;
mod families;
mod prepare;
mod row;
mod validate;

pub use allocation::{
    NODE_PORTS, NodePortNeed, cluster_ip_out_of_range, cluster_ip_taken, cluster_ips, is_headless,
    needs_cluster_ip, needs_health_check_node_port, needs_node_ports, node_port_needs,
    node_port_out_of_range, node_port_taken, set_cluster_ip, set_node_port, uses_cluster_ip,
};
pub use families::complete_families;

use super::{AGE, ALL_VERBS, KindDef, NAME, Strategy, TableDef, column, proxy_of, status_of, wide};
use crate::field::FieldErrors;
use crate::names;
use crate::validation::value::{at, carry_over, object_mut, set, text};
use serde_json::{Value, json};

pub(super) static KIND: KindDef = KindDef {
    group: "",
    version: "v1",
    kind: "Service",
    plural: "services",
    singular: "service",
    short_names: &["svc"],
    categories: &["all"],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[proxy_of("ServiceProxyOptions"), status_of("Service")],
    schema: "io.k8s.api.core.v1.Service",
    table: TableDef {
        columns: &[
            NAME,
            column("Type"),
            column("Cluster-IP"),
            column("External-IP"),
            column("Port(s)"),
            AGE,
            wide("Selector"),
        ],
        row: row::cells,
    },
    selectable: &[
        ("spec.clusterIP", |object| text(at(object, "spec"), "clusterIP").to_owned()),
        ("spec.type", |object| text(at(object, "spec"), "type").to_owned()),
    ],
    strategy: &Service,
    deprecation: "",
    view: None,
};

struct Service;

impl Strategy for Service {
    fn default(&self, object: &mut Value) {
        if let Some(spec) = object_mut(object, "spec") {
            prepare::default_spec(spec);
        }
        if let Some(status) = object_mut(object, "status") {
            prepare::default_status(status);
        }
    }

    fn prepare_create(&self, object: &mut Value) {
        set(object, "status", json!({"loadBalancer": {}}));
        prepare::normalize_cluster_ips(object, None);
    }

    fn prepare_update(&self, new: &mut Value, old: &Value) {
        carry_over(new, old, "status");
        prepare::keep_allocated(new, old);
        prepare::normalize_cluster_ips(new, Some(old));
        prepare::drop_what_the_type_lacks(new, old);
    }

    fn prepare_subresource_update(&self, _subresource: &str, new: &mut Value, old: &Value) {
        carry_over(new, old, "spec");
    }

    fn validate(&self, object: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        validate::service(object, &mut errors);
        errors
    }

    fn validate_update(&self, new: &Value, old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        validate::update(new, old, &mut errors);
        validate::service(new, &mut errors);
        errors
    }

    fn validate_subresource_update(&self, _subresource: &str, new: &Value, _old: &Value) -> FieldErrors {
        let mut errors = FieldErrors::new();
        validate::status(new, &mut errors);
        errors
    }

    fn validate_name(&self, name: &str, prefix: bool) -> Vec<String> {
        names::name_is_label(name, prefix)
    }
}
