//! Time, uids and random suffixes: what the pure rules take as inputs, made here at the edge and nowhere else.

use std::time::{SystemTime, UNIX_EPOCH};

/// Letters of generated suffixes: no vowels, so that no words come out, and nothing that looks alike.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Seconds since the Unix epoch.
pub fn unix_seconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

/// Now, as object metadata says it.
pub fn timestamp() -> String {
    keelson_api::time::seconds(unix_seconds())
}

/// A new uid.
pub fn uid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// A random number.
pub fn random() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0
}

/// Five random letters, as they end generated names.
pub fn suffix() -> String {
    let mut bits = random();
    (0..5)
        .map(|_| {
            let letter = LETTERS[(bits % LETTERS.len() as u64) as usize];
            bits /= LETTERS.len() as u64;
            char::from(letter)
        })
        .collect()
}
