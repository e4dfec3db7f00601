//! JSON to views, forgiving `null` where Kubernetes does.

use crate::error::{Error, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Parses a reply. Kubernetes reads `null` as absent; serde does not, so a text that fails is read once more
/// without its nulls.
pub(crate) fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    let source = match serde_json::from_slice(bytes) {
        Ok(value) => return Ok(value),
        Err(source) => source,
    };
    let Ok(mut value) = serde_json::from_slice::<Value>(bytes) else {
        return Err(Error::Decode { what: what.to_owned(), source });
    };
    strip_nulls(&mut value);
    serde_json::from_value(value).map_err(|source| Error::Decode { what: what.to_owned(), source })
}

fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(strip_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::Pod;

    #[test]
    fn null_reads_as_absent() {
        let pod: Pod = decode("pod", br#"{"metadata":{"name":"a","labels":null},"spec":null}"#).unwrap();
        assert_eq!(pod.metadata.name, "a");
        assert!(decode::<Pod>("pod", br#"{"metadata":{"name":3}}"#).is_err());
        assert!(decode::<Pod>("pod", b"{").is_err());
    }
}
