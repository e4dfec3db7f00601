//! What a configuration's keys are, for those who write one: the documentation of its fields and their defaults.

use super::API_VERSION;
use serde::Serialize;
use serde_json::Value;

/// Columns of the list.
const WIDTH: usize = 96;
/// Before what is said about a key.
const INDENT: &str = "      ";

/// A key of a configuration file, as [`settings!`](crate::settings) makes it of a field.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub field: &'static str,
    /// What serde calls it when that is not the field's name in camel case; one or none.
    pub renamed: &'static [&'static str],
    pub doc: &'static str,
}

/// Declares the struct of a configuration file and `KEYS`, what there is to say about each of its fields: the field's
/// documentation. Fields are named in camel case, or by `#[serde(rename = "...")]`.
#[macro_export]
macro_rules! settings {
    (
        $(#[$attribute:meta])*
        pub struct $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $(#[serde(rename = $renamed:literal)])?
                pub $field:ident: $type:ty,
            )+
        }
    ) => {
        $(#[$attribute])*
        pub struct $name {
            $(
                $(#[doc = $doc])+
                $(#[serde(rename = $renamed)])?
                pub $field: $type,
            )+
        }

        impl $name {
            /// The keys of the file.
            pub const KEYS: &'static [$crate::config::Key] = &[$(
                $crate::config::Key {
                    field: stringify!($field),
                    renamed: &[$($renamed)?],
                    doc: concat!($($doc),+),
                },
            )+];
        }
    };
}

impl Key {
    pub fn name(&self) -> String {
        if let Some(name) = self.renamed.first() {
            return (*name).to_owned();
        }
        let mut words = self.field.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |name, word| {
            let (head, tail) = word.split_at(word.len().min(1));
            name + &head.to_uppercase() + tail
        })
    }
}

/// A list of the keys of a file of `kind`, with their defaults.
pub fn describe(kind: &str, keys: &[Key], defaults: &impl Serialize) -> String {
    let defaults = serde_json::to_value(defaults).unwrap_or_default();
    let mut text = format!("Keys of the configuration file (apiVersion: {API_VERSION}, kind: {kind}):");
    for key in keys {
        let name = key.name();
        let default = shown(&defaults[&name]).map(|value| format!(" [default: {value}]")).unwrap_or_default();
        text += &format!("\n  {name}{default}");
        wrap(&key.doc.replace('`', ""), &mut text);
    }
    text
}

/// A default as it stands in a file; none for what is absent or empty.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

fn wrap(words: &str, text: &mut String) {
    let mut column = WIDTH;
    for word in words.split_whitespace() {
        let length = word.chars().count();
        if column + 1 + length > WIDTH {
            text.push('\n');
            text.push_str(INDENT);
            column = INDENT.len();
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    crate::settings! {
        /// Of a test.
        #[derive(Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct Settings {
            /// Where to listen,
            /// in `words`.
            pub listen_port: u16,
            /// A name.
            #[serde(rename = "nodeIP")]
            pub node_ip: String,
            /// What is very long is said in lines of which none is longer than a screen is wide, because it would be
            /// broken in the middle of a word otherwise.
            pub labels: Vec<String>,
        }
    }

    #[test]
    fn keys_are_told_with_their_defaults() {
        let defaults = Settings { listen_port: 80, node_ip: String::new(), labels: Vec::new() };
        let wanted = "\
Keys of the configuration file (apiVersion: keelson.dev/v1alpha1, kind: Settings):
  listenPort [default: 80]
      Where to listen, in words.
  nodeIP
      A name.
  labels
      What is very long is said in lines of which none is longer than a screen is wide, because
      it would be broken in the middle of a word otherwise.";
        assert_eq!(describe("Settings", Settings::KEYS, &defaults), wanted);
    }
}
