//! What goes into the store and what comes out of it: documents whose revision the store itself writes.
//!
//! Never looks into a document beyond the one place where the revision stands.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::WriteError;

/// The largest document taken, in bytes. Kubernetes refuses request bodies over 3 MiB before they get here.
pub const MAX_DOCUMENT: usize = 4 << 20;
/// The longest key taken, in bytes: namespace (63) + `/` + name (253) fits four times over.
pub const MAX_KEY: usize = 1536;

/// A document as kept: JSON with the digits of its resourceVersion in place. Immutable and shared; a clone
/// copies a pointer.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    /// The revision of the write that made this state; equal to the digits inside `bytes`.
    pub revision: u64,
    /// The JSON document.
    pub bytes: Bytes,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stored(r{}, {})", self.revision, String::from_utf8_lossy(&self.bytes))
    }
}

/// A JSON document to be written, with `"resourceVersion":""` somewhere in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The document.
    pub json: Vec<u8>,
    /// Offset in bytes of the place between the two quotes: the revision's digits are put there.
    pub version_at: usize,
}

impl Template {
    /// The document with `revision` in its place.
    pub(crate) fn splice(&self, revision: u64) -> Vec<u8> {
        let mut digits = [0u8; 20];
        let digits = decimal(revision, &mut digits);
        let at = self.version_at.min(self.json.len());
        let mut out = Vec::with_capacity(self.json.len() + digits.len());
        out.extend_from_slice(&self.json[..at]);
        out.extend_from_slice(digits);
        out.extend_from_slice(&self.json[at..]);
        out
    }

    /// Takes the digits out of a stored document again: the inverse of [`Template::splice`].
    pub(crate) fn from_stored(bytes: &[u8], version_at: usize) -> Template {
        let at = version_at.min(bytes.len());
        let digits = bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        let mut json = Vec::with_capacity(bytes.len() - digits);
        json.extend_from_slice(&bytes[..at]);
        json.extend_from_slice(&bytes[at + digits..]);
        Template { json, version_at: at }
    }

    fn check(&self) -> Result<(), WriteError> {
        if self.json.len() > MAX_DOCUMENT {
            return Err(WriteError::TooLarge { bytes: self.json.len(), limit: MAX_DOCUMENT });
        }
        let quoted = self.version_at > 0
            && self.json.get(self.version_at - 1) == Some(&b'"')
            && self.json.get(self.version_at) == Some(&b'"');
        if quoted {
            Ok(())
        } else {
            Err(WriteError::Malformed("the revision's place is not an empty string"))
        }
    }
}

/// Decimal digits of `n`, written into the end of `buffer`.
fn decimal(mut n: u64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            return &buffer[at..];
        }
    }
}

/// What must be true of the key when the write is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing is stored under the key.
    Absent,
    /// The key holds exactly this revision.
    Revision(u64),
    /// A put writes regardless; a delete needs something to delete.
    Any,
}

/// One conditional change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Stores `value` under the key.
    Put {
        /// The resource's name, opaque to the store, for example `deployments.apps`.
        kind: Arc<str>,
        /// `namespace/name`, or `name`.
        key: String,
        /// The condition.
        expect: Expect,
        /// The new document.
        value: Template,
    },
    /// Removes the key.
    Delete {
        /// The resource's name.
        kind: Arc<str>,
        /// `namespace/name`, or `name`.
        key: String,
        /// The condition.
        expect: Expect,
        /// The final state that watchers see. `None`: the stored document with the deletion's revision in it.
        last: Option<Template>,
    },
}

impl Write {
    /// The kind written to.
    pub fn kind(&self) -> &Arc<str> {
        match self {
            Write::Put { kind, .. } | Write::Delete { kind, .. } => kind,
        }
    }

    /// The key written to.
    pub fn key(&self) -> &str {
        match self {
            Write::Put { key, .. } | Write::Delete { key, .. } => key,
        }
    }

    /// Refuses what could not be stored, before it enters the log.
    pub(crate) fn check(&self) -> Result<(), WriteError> {
        let (kind, key) = (self.kind(), self.key());
        if kind.is_empty() || key.is_empty() {
            return Err(WriteError::Malformed("kind and key must not be empty"));
        }
        if kind.len() + key.len() > MAX_KEY {
            return Err(WriteError::TooLarge { bytes: kind.len() + key.len(), limit: MAX_KEY });
        }
        if kind.bytes().chain(key.bytes()).any(|b| b == 0) {
            return Err(WriteError::Malformed("kind and key must not contain a NUL byte"));
        }
        match self {
            Write::Put { value, .. } => value.check(),
            Write::Delete { last, .. } => last.as_ref().map_or(Ok(()), Template::check),
        }
    }

    /// Bytes that the write takes in a log entry, roughly: what batches are limited by.
    pub(crate) fn cost(&self) -> usize {
        let document = match self {
            Write::Put { value, .. } => value.json.len(),
            Write::Delete { last, .. } => last.as_ref().map_or(0, |t| t.json.len()),
        };
        document + self.key().len() + self.kind().len() + 32
    }
}

/// The answer to a [`Write`] that reached the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Written. For a delete: the deleted object's last state, with the deletion's revision.
    Done(Stored),
    /// The condition did not hold; what is there instead. No revision was used up.
    Conflict(Option<Stored>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(json: &str) -> Template {
        let version_at = json.find("\"\"").unwrap() + 1;
        Template { json: json.as_bytes().to_vec(), version_at }
    }

    #[test]
    fn splice_puts_the_digits_between_the_quotes_and_back() {
        let check = |revision: u64, json: &str, expected: &str| {
            let template = template(json);
            let spliced = template.splice(revision);
            assert_eq!(String::from_utf8_lossy(&spliced), expected);
            assert_eq!(Template::from_stored(&spliced, template.version_at), template);
        };
        check(0, r#"{"rv":""}"#, r#"{"rv":"0"}"#);
        check(7, r#"{"rv":"","a":1}"#, r#"{"rv":"7","a":1}"#);
        check(u64::MAX, r#"{"rv":""}"#, r#"{"rv":"18446744073709551615"}"#);
    }

    #[test]
    fn writes_that_cannot_be_stored_are_refused() {
        let put = |kind: &str, key: &str, value: Template| Write::Put {
            kind: kind.into(),
            key: key.into(),
            expect: Expect::Any,
            value,
        };
        let good = template(r#"{"rv":""}"#);
        assert!(put("pods", "a/b", good.clone()).check().is_ok());
        assert!(matches!(put("pods", "", good.clone()).check(), Err(WriteError::Malformed(_))));
        assert!(matches!(put("po\0ds", "a", good.clone()).check(), Err(WriteError::Malformed(_))));
        assert!(matches!(
            put("pods", &"a".repeat(MAX_KEY), good.clone()).check(),
            Err(WriteError::TooLarge { .. })
        ));
        for version_at in [0, 1, good.json.len(), usize::MAX] {
            let bad = Template { version_at, ..good.clone() };
            assert!(matches!(put("pods", "a", bad).check(), Err(WriteError::Malformed(_))), "{version_at}");
        }
        let big = Template { json: vec![b'"'; MAX_DOCUMENT + 1], version_at: 1 };
        assert!(matches!(put("pods", "a", big).check(), Err(WriteError::TooLarge { .. })));
    }
}
