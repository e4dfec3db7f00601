//! Role-based access control.
//!
//! `rule`, `objects`, `index`, `cover` and `escalation` are pure; `live` keeps an index at the store's heels.

mod cover;
mod defaults;
mod index;
mod live;
mod objects;
mod rule;

pub use cover::{compact, covers, describe, quoted_list};
pub use defaults::{AUTOUPDATE, CONTROLLERS, Default, defaults, node_rules};
pub use index::{Grant, Index, Objects, resolve_aggregation};
pub use live::{KINDS, LiveRbac};
pub use objects::{AggregationRule, Binding, Meta, Role, RoleRef, Selector, Subject};
pub use rule::{ALL, Rule};
